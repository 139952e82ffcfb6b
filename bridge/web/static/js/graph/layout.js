// Where things stand. Without chance: the same graph always looks the same.
//
// The centre is in the middle, each hop on a ring around it, wider than high as screens are. From
// there springs pull what belongs together closer, everything pushes everything off, and no label
// may cover another.

const RING = 132;
const SPRING = 105;
const PUSH = 5200;
const ROUNDS = 260;
const LETTER = 6.1;
const GAP = 7;

/**
 * Places for all nodes.
 * @param nodes `{uuid, type, name}`, @param bundles `{source, target}`, @param center a uuid
 * @param labels what stands below each node, @param wide how much wider than high the place is
 */
export function settled(nodes, bundles, center, labels, wide) {
  const near = neighbours(nodes, bundles);
  const hops = hopsFrom(center, nodes, near);
  const places = rings(nodes, near, hops, wide);
  const bodies = nodes.map((node) => ({
    ...places.get(node.uuid),
    uuid: node.uuid,
    fixed: node.uuid === center,
    ring: hops.get(node.uuid),
    halfWidth: Math.max(18, ((labels.get(node.uuid) ?? "").length * LETTER) / 2 + GAP),
    pull: 1 / Math.max(1, Math.sqrt(near.get(node.uuid).length)),
  }));
  const byUuid = new Map(bodies.map((body) => [body.uuid, body]));
  const springs = bundles.map(({ source, target }) => [byUuid.get(source), byUuid.get(target)]);
  const radii = radiiOf(hops);
  for (let round = 0; round < ROUNDS; round += 1) {
    const heat = 1 - round / ROUNDS;
    for (const [one, other] of springs) if (one !== other) spring(one, other, heat);
    apart(bodies, heat);
    for (const body of bodies) homeward(body, radii, wide, heat);
    uncover(bodies);
  }
  return new Map(bodies.map(({ uuid, x, y }) => [uuid, { x, y }]));
}

/** A place for a node that comes into a standing picture: beside what it belongs to. */
export function beside(node, bundles, places) {
  const bundle = bundles.find((each) => each.source === node.uuid || each.target === node.uuid);
  const other = bundle && places.get(bundle.source === node.uuid ? bundle.target : bundle.source);
  const angle = (hashed(node.uuid) % 360) * (Math.PI / 180);
  const { x, y } = other ?? { x: 0, y: 0 };
  return { x: x + 90 * Math.cos(angle), y: y + 90 * Math.sin(angle) };
}

/** How many steps each node is from the centre. */
export function hopsFrom(center, nodes, near) {
  const hops = new Map();
  let edge = near.has(center) ? [center] : [];
  for (const uuid of edge) hops.set(uuid, 0);
  while (edge.length) {
    const next = [];
    for (const uuid of edge) {
      for (const other of near.get(uuid)) {
        if (hops.has(other)) continue;
        hops.set(other, hops.get(uuid) + 1);
        next.push(other);
      }
    }
    edge = next;
  }
  const beyond = hops.size ? Math.max(...hops.values()) + 1 : 1;
  for (const node of nodes) if (!hops.has(node.uuid)) hops.set(node.uuid, beyond);
  return hops;
}

export function neighbours(nodes, bundles) {
  const near = new Map(nodes.map((node) => [node.uuid, []]));
  for (const { source, target } of bundles) {
    if (!near.has(source) || !near.has(target) || source === target) continue;
    near.get(source).push(target);
    near.get(target).push(source);
  }
  return near;
}

/** Rings far enough out for what stands on them. */
function radiiOf(hops) {
  const radii = [0];
  const most = Math.max(...hops.values(), 0);
  for (let hop = 1; hop <= most; hop += 1) {
    const there = [...hops.values()].filter((each) => each === hop).length;
    radii.push(Math.max(radii[hop - 1] + RING, (there * 62) / (2 * Math.PI)));
  }
  return radii;
}

function rings(nodes, near, hops, wide) {
  const places = new Map();
  radiiOf(hops).forEach((radius, hop) => {
    const ring = nodes.filter((node) => hops.get(node.uuid) === hop);
    const angles = new Map(ring.map((node) => [node, angleOf(node, near, places, wide)]));
    ring.sort((a, b) => angles.get(a) - angles.get(b) || compare(a, b));
    ring.forEach((node, index) => {
      const angle = (2 * Math.PI * (index + 0.25)) / ring.length;
      places.set(node.uuid, { x: wide * radius * Math.cos(angle), y: radius * Math.sin(angle) });
    });
  });
  return places;
}

/** A node begins where the ones that lead to it stand. */
function angleOf(node, near, places, wide) {
  let x = 0;
  let y = 0;
  for (const uuid of near.get(node.uuid)) {
    x += (places.get(uuid)?.x ?? 0) / wide;
    y += places.get(uuid)?.y ?? 0;
  }
  return Math.hypot(x, y) < 1 ? 0 : (Math.atan2(y, x) + 2 * Math.PI) % (2 * Math.PI);
}

function spring(one, other, heat) {
  const dx = other.x - one.x;
  const dy = other.y - one.y;
  const distance = Math.hypot(dx, dy) || 1;
  const by = (0.09 * heat * (distance - SPRING)) / distance;
  move(one, dx * by * one.pull, dy * by * one.pull);
  move(other, -dx * by * other.pull, -dy * by * other.pull);
}

function apart(bodies, heat) {
  for (let i = 0; i < bodies.length; i += 1) {
    for (let j = i + 1; j < bodies.length; j += 1) {
      const [one, other] = [bodies[i], bodies[j]];
      const dx = other.x - one.x || (i - j) * 0.01;
      const dy = other.y - one.y || 0.01;
      const square = dx * dx + dy * dy;
      if (square > 160_000) continue;
      const by = (PUSH * heat) / (square * Math.sqrt(square) + 2000);
      move(one, -dx * by, -dy * by);
      move(other, dx * by, dy * by);
    }
  }
}

/** Back to its ring, gently. */
function homeward(body, radii, wide, heat) {
  const distance = Math.hypot(body.x / wide, body.y) || 1;
  const by = 0.07 * heat * (radii[body.ring] / distance - 1);
  move(body, body.x * by, body.y * by);
}

/** Nodes with their labels as boxes: those that overlap give way along the shorter side. */
function uncover(bodies) {
  const height = 42;
  for (let i = 0; i < bodies.length; i += 1) {
    for (let j = i + 1; j < bodies.length; j += 1) {
      const [one, other] = [bodies[i], bodies[j]];
      const dx = other.x - one.x;
      const dy = other.y - one.y;
      const overX = one.halfWidth + other.halfWidth - Math.abs(dx);
      const overY = height - Math.abs(dy);
      if (overX <= 0 || overY <= 0) continue;
      if (overX < overY) {
        const by = ((dx < 0 ? -1 : 1) * overX) / 4;
        move(one, -by, 0);
        move(other, by, 0);
      } else {
        const by = ((dy < 0 ? -1 : 1) * overY) / 4;
        move(one, 0, -by);
        move(other, 0, by);
      }
    }
  }
}

function move(body, dx, dy) {
  if (body.fixed) return;
  body.x += dx;
  body.y += dy;
}

const compare = (a, b) => (a.type + a.name < b.type + b.name ? -1 : 1);

function hashed(text) {
  let hash = 7;
  for (let i = 0; i < text.length; i += 1) hash = (hash * 31 + text.charCodeAt(i)) | 0;
  return Math.abs(hash);
}

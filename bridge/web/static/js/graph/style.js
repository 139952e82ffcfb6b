// What Cytoscape draws, in the colours of the theme.
export function styleOf(colours, calm) {
  const ink = colours.of("--ink");
  const paper = colours.of("--paper");
  const accent = colours.of("--accent");
  const soft = colours.of("--edge");
  const quick = calm ? 0 : 120;
  return [
    {
      selector: "node",
      style: {
        shape: "data(shape)",
        "background-color": "data(colour)",
        width: "data(size)",
        height: "data(size)",
        label: "data(label)",
        color: ink,
        "font-family": "system-ui, sans-serif",
        "font-size": 11,
        "text-valign": "bottom",
        "text-margin-y": 5,
        "text-outline-color": paper,
        "text-outline-width": 2.5,
        "text-outline-opacity": 0.92,
        "min-zoomed-font-size": 6,
        "transition-property": "opacity",
        "transition-duration": quick,
      },
    },
    { selector: "node[?far]", style: { color: colours.of("--ink-3"), "font-size": 10, "min-zoomed-font-size": 7 } },
    { selector: "node[?center]", style: { "font-size": 14, "font-weight": 600, "border-width": 3, "border-color": paper, "outline-width": 2, "outline-color": accent, "outline-offset": 1 } },
    { selector: "node:active, edge:active", style: { "overlay-opacity": 0 } },
    {
      selector: "edge",
      style: {
        width: 1.3,
        "line-color": soft,
        "target-arrow-color": soft,
        "target-arrow-shape": "triangle",
        "arrow-scale": 0.7,
        "curve-style": "bezier",
        "control-point-step-size": 28,
        "font-family": "system-ui, sans-serif",
        "font-size": 10,
        color: ink,
        "text-background-color": paper,
        "text-background-opacity": 0.9,
        "text-background-padding": 2,
        "transition-property": "opacity",
        "transition-duration": quick,
      },
    },
    { selector: "edge[?closed]", style: { "line-style": "dashed", "line-dash-pattern": [5, 4], opacity: 0.75 } },
    { selector: "edge.near, edge.picked", style: { label: "data(label)", "line-color": accent, "target-arrow-color": accent, "z-index": 5 } },
    { selector: "edge.picked", style: { width: 2.4 } },
    { selector: "node.picked", style: { "outline-width": 2, "outline-color": accent, "outline-offset": 2 } },
    { selector: "node.near", style: { "z-index": 6 } },
    { selector: ".faint", style: { opacity: 0.16 } },
  ];
}

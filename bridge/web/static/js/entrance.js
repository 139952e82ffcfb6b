// The one-time code in the address: exchanged for a cookie, and taken out of sight at once.
import { post } from "./api.js";

const CODE = /^#code=(.+)$/;

/** A new link put into this same window changes nothing but the fragment: begin anew with it. */
addEventListener("hashchange", () => {
  if (CODE.test(location.hash)) location.reload();
});

/** Gives why the code was refused, null when it was taken or when there is none. */
export async function enter() {
  const [, code] = CODE.exec(location.hash) ?? [];
  if (!code) return null;
  history.replaceState(null, "", location.pathname);
  try {
    await post("/api/session", { code: decodeURIComponent(code) });
    return null;
  } catch (error) {
    if (error.status === 0) return null;
    // An older cookie may still be good: whoever asks next will find out.
    return "That link has been used already, or is older than a minute. Run this for a new one:";
  }
}

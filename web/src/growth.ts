// While a build paints, and `actatlas view` shows its page: what is new appears on it.
import type { Site } from "./site";

const PAUSE_MS = 3000;
const PAUSE_WITHOUT_ANSWER_MS = 15_000;

/** Calls `changed` after something new has come, until the atlas is finished. */
export function watchGrowth(site: Site, changed: () => void): void {
  const look = async (): Promise<void> => {
    let pause = PAUSE_MS;
    try {
      if (!document.hidden && (await site.grow())) changed();
    } catch {
      pause = PAUSE_WITHOUT_ANSWER_MS; // the server has ended, or is being started again
    }
    if (!site.atlas.is_finished) setTimeout(() => void look(), pause);
  };
  setTimeout(() => void look(), PAUSE_MS);
}

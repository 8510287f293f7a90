// What went wrong, in words, and where the reader sees it.
import type { Dispatch } from "./store";

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What takes an error and shows it in the status line. */
export function telling(dispatch: Dispatch): (error: unknown) => void {
  return (error) => dispatch({ type: "message", text: messageOf(error) });
}

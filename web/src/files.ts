// The site's files: data come as scripts that call actatlas(key, value), so that they load from a double click too.

declare global {
  interface Window {
    actatlas?: (key: string, value: unknown) => void;
  }
}

/** Where a file of the site is: beside the page, or in it. */
export function urlPath(path: string): string {
  const inPage = held(path);
  if (typeof inPage === "string") return inPage;
  return path.split("/").map(encodeURIComponent).join("/");
}

const waiting = new Map<string, (value: unknown) => void>();

let table: Readonly<Record<string, unknown>> | null = null;

/** What a page of one file holds of the files that others have beside them: a picture's data: URL, or what a script hands over. */
function held(path: string): unknown {
  table ??= JSON.parse(document.getElementById("actatlas-files")?.textContent ?? "{}") as Record<string, unknown>;
  return table[path];
}

/** What the script `key`.js hands over. version: of a file that changes, so that no earlier one is taken for it */
export function loadScript(key: string, version = ""): Promise<unknown> {
  const inPage = held(`${key}.js`);
  if (inPage !== undefined) return Promise.resolve(inPage);
  window.actatlas ??= (name, value) => waiting.get(name)?.(value);
  const path = `${urlPath(key)}.js`;
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    waiting.set(key, resolve);
    script.src = version === "" ? path : `${path}?${version}`;
    script.onload = () => {
      script.remove();
      // Received by now, or never: then the file is damaged, and a second rejection does nothing.
      reject(new Error(`${path} is damaged; write the site again.`));
    };
    script.onerror = () => {
      script.remove();
      reject(new Error(`${path} could not be read; copy the whole folder, or write the site again.`));
    };
    document.head.append(script);
  });
}

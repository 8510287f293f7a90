// The other side of notebook.ts: what Jupyter, VS Code, Colab and marimo run (anywidget) puts the page into a frame and passes on
// what the two have to say to each other. The frame is sealed: nothing in an atlas can reach the notebook.
import { type FromPage, GREETING, type ToPage } from "./notebook-messages";

interface Model {
  get(name: "page" | "address"): string;
  get(name: "height"): number;
  set(name: "address" | "chosen", value: unknown): void;
  save_changes(): void;
  send(message: FromPage): void;
  on(event: string, listener: (message: ToPage) => void): void;
  off(event: string, listener: (message: ToPage) => void): void;
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const frame = document.createElement("iframe");
  let port: MessagePort | null = null;
  const pass = (message: ToPage): void => port?.postMessage(message);
  let told = ""; // by the page, which may have gone on since
  const begin = (): void => pass({ kind: "go", address: model.get("address") });
  const go = (): void => {
    if (model.get("address") !== told) begin();
  };
  const resize = (): void => {
    frame.style.height = `${model.get("height")}px`;
  };
  const hear = ({ data }: MessageEvent<FromPage>): void => {
    if (data.kind === "ask") return model.send(data);
    const { address, layer, cell, picked } = data;
    told = address;
    model.set("chosen", { layer, cell, picked });
    model.set("address", address);
    model.save_changes();
  };
  // Again whenever the frame is moved to another place of the notebook, where it loads anew.
  frame.addEventListener("load", () => {
    const channel = new MessageChannel();
    port?.close();
    port = channel.port1;
    port.onmessage = hear;
    frame.contentWindow?.postMessage(GREETING, "*", [channel.port2]);
    begin();
  });
  frame.setAttribute("sandbox", "allow-scripts allow-downloads");
  frame.title = "Activation atlas";
  Object.assign(frame.style, { width: "100%", border: "0", display: "block" });
  resize();
  model.on("msg:custom", pass);
  model.on("change:address", go);
  model.on("change:height", resize);
  frame.srcdoc = model.get("page");
  el.append(frame);
  return () => {
    model.off("msg:custom", pass);
    model.off("change:address", go);
    model.off("change:height", resize);
    port?.close();
  };
}

export default { render };

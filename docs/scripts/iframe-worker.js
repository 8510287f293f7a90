// Browsers give no worker to a page that was opened from a folder. So the search's script runs in a hidden frame there.
// The name is what keeps Zensical's offline plug-in from taking one from unpkg.com: see mkdocs.yml.
if (location.protocol === "file:") {
  window.Worker = class {
    onmessage = null
    onerror = null
    #frame = document.createElement("iframe")
    #waiting = [] // messages to a script that is not there yet; null: it is

    constructor(address) {
      this.#frame.hidden = true
      this.#frame.addEventListener("load", () => this.#run(new URL(address, document.baseURI)), { once: true })
      document.body.append(this.#frame)
    }

    postMessage(data) {
      data = structuredClone(data) // each side changes what it was given
      if (this.#waiting) this.#waiting.push(data)
      else this.#deliver(data)
    }

    terminate() {
      this.#frame.remove()
    }

    #run(url) {
      const inside = this.#frame.contentWindow
      inside.postMessage = (data) => {
        const copy = structuredClone(data)
        setTimeout(() => this.onmessage?.({ data: copy }))
      }
      const script = inside.document.createElement("script")
      script.src = url
      script.onerror = (event) => this.onerror?.(event)
      script.onload = () => {
        const sent = this.#waiting
        this.#waiting = null
        for (const data of sent) this.#deliver(data)
      }
      inside.document.body.append(script)
    }

    #deliver(data) {
      setTimeout(() => this.#frame.contentWindow?.onmessage?.({ data }))
    }
  }
}

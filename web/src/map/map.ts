// The map: the only code that knows OpenSeadragon. One Deep Zoom pyramid a grid, all laid over the same unit square.
import OpenSeadragon from "openseadragon";
import { showPicture } from "../files";
import type { GridValue, LayerValue } from "../format";
import { notebook } from "../notebook";
import type { Place, View } from "../places";
import type { Evidence } from "../state";
import { cellPx, finestLevel, fullPx, gridFolder, tileUrl, versionOf } from "../tiles";
import { type Insets, boxOf, placeAt, shiftClear, shiftInto } from "./geometry";
import { type Sizes, shrunk } from "./shrinking";

const FADE_MS = 160;
const PATIENCE_MS = 4000;
const LEAST_LEVEL = 8; // 256 px: a smaller picture would only be fetched to be replaced
const MARGIN = 0.035; // of the map's side
const MOST_TILES = 200; // that are held before it is known how many are needed
const LEAST_TILES = 32;
const ICON_PX_AT_MOST = 4; // how far an icon's pixels are magnified
const WITHOUT_END_MS = 2 ** 31 - 1;

/** How tiles come that a notebook has: OpenSeadragon itself knows addresses alone. */
const ASKED_TILES = {
  downloadTileStart(job: OpenSeadragon.ImageJob): void {
    const image = new Image();
    (job.userData as { image?: HTMLImageElement }).image = image;
    image.onload = () => job.finish(image, null, "image");
    image.onerror = () => job.fail("the notebook has no such tile", null);
    showPicture(image, job.src);
  },
  downloadTileAbort(job: OpenSeadragon.ImageJob): void {
    const { image } = job.userData as { image?: HTMLImageElement };
    if (image !== undefined) image.onload = image.onerror = null;
  },
};

export interface MapEvents {
  /** The view has moved, or was resized: anything laid over the map must move too. */
  moved(): void;
  /** The element has another size, and the view another extent. */
  resized(): void;
  /** The view has come to rest. */
  settled(): void;
  clicked(place: { readonly x: number; readonly y: number }): void;
  /** Every tile of the grid that the view needs is on the screen. */
  drawn(): void;
  failed(message: string): void;
}

export class AtlasMap {
  private readonly viewer: OpenSeadragon.Viewer;
  private readonly isCalm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  private images: OpenSeadragon.TiledImage[] = [];
  private readonly shown = new Map<OpenSeadragon.TiledImage, { readonly grid: GridValue; readonly evidence: Evidence }>();
  private sizes: Sizes | null = null;
  private wanted = "";
  /** What is shown alone: another than the wanted while one grid follows another. */
  private revealed = "";
  /** Side of a tile of the wanted grid's finest level. */
  private tilePx = 1;
  /** Where to look once there is something to see. */
  private first: View | null = null;
  /** Of the element's width, what is covered at the left. */
  private coveredPx = 0;

  constructor(
    readonly element: HTMLElement,
    minimap: HTMLElement | null,
    private readonly events: MapEvents,
  ) {
    keepStyleSheetOut();
    decodeWithoutCopies();
    this.viewer = OpenSeadragon({
      element,
      tabIndex: -1, // the element itself has the focus
      drawer: "canvas", // works without WebGL, and with pictures of a page that was opened by a double click
      showNavigationControl: false,
      ...(minimap === null ? {} : { showNavigator: true, navigatorElement: minimap, navigatorDisplayRegionColor: "#e0703a" }),
      animationTime: this.isCalm ? 0 : 0.35,
      springStiffness: 9,
      zoomPerScroll: 1.25,
      maxZoomPixelRatio: ICON_PX_AT_MOST,
      minZoomImageRatio: 0.7,
      visibilityRatio: 0.4,
      preserveImageSizeOnResize: true,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true, flickEnabled: false },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true, flickEnabled: !this.isCalm },
      gestureSettingsPen: { clickToZoom: false, dblClickToZoom: true },
      imageLoaderLimit: 6,
      ...(notebook === null ? {} : { timeout: WITHOUT_END_MS }), // Python answers when its cell has run
      maxImageCacheCount: MOST_TILES,
    });
    const { viewer } = this;
    viewer.addHandler("update-viewport", () => this.events.moved());
    viewer.addHandler("resize", () => {
      if (this.isOpen) this.holdTiles();
      requestAnimationFrame(() => this.events.resized());
    });
    viewer.addHandler("animation-finish", () => this.events.settled());
    viewer.addHandler("canvas-key", (event) => {
      event.preventDefaultAction = true; // input/keyboard.ts has the keys
    });
    viewer.addHandler("canvas-click", (event) => {
      if (event.quick) this.events.clicked(event.position);
    });
    viewer.addHandler("tile-invalidated", (event) => this.shrink(event));
    viewer.addOnceHandler("tile-drawn", () => performance.mark("actatlas-shape"));
    viewer.addHandler("tile-load-failed", () => {
      this.events.failed("A part of the map could not be read; copy the whole folder, or write the site again.");
    });
  }

  /** Put a grid on the map, in the place of what is there, as soon as it has loaded. The view stays where it is. */
  show(layer: LayerValue, grid: GridValue, evidence: Evidence): void {
    const key = `${gridFolder(layer, grid.side)} ${evidence} ${versionOf(grid)}`;
    if (key === this.wanted) return;
    this.wanted = key;
    this.tilePx = grid.tile_cells * (cellPx(grid, evidence) ?? grid.cell_px);
    this.holdTiles();
    const isFirst = this.images.length === 0;
    this.viewer.addTiledImage({
      tileSource: tileSource(layer, grid, evidence),
      x: 0,
      y: 0,
      width: 1,
      opacity: isFirst ? 1 : 0,
      preload: true,
      success: (event: unknown) => {
        const { item } = event as { item: OpenSeadragon.TiledImage };
        this.images.push(item);
        this.shown.set(item, { grid, evidence });
        if (isFirst) this.look(this.first, true);
        let isDecided = false;
        const decide = (): void => {
          if (isDecided || !this.images.includes(item)) return;
          isDecided = true;
          if (key === this.wanted) this.reveal(item, key);
          else this.remove(item);
        };
        item.whenFullyLoaded(decide);
        setTimeout(decide, PATIENCE_MS); // as far as it is there: on a very large screen, or by a slow line
      },
      error: () => this.events.failed(`The pictures of ${layer.name} could not be read; write the site again.`),
    });
  }

  /**
   * As many tiles as a grid needs, each at the level whose pixels are the smallest, and a third more for coarser ones; as
   * many again while one grid follows another: if they were fewer, those of the grid to come would be let go before it is
   * drawn. OpenSeadragon takes the number only when it begins, and by this name.
   */
  private holdTiles(): void {
    const grids = this.revealed === this.wanted ? 1 : 2;
    const px = Math.min(Math.ceil(window.devicePixelRatio || 1), 2);
    const along = (length: number): number => Math.ceil((2 * length * px) / this.tilePx) + 1;
    const ofAGrid = along(this.element.clientWidth) * along(this.element.clientHeight);
    const cache = this.viewer.tileCache as unknown as { _maxCacheItemCount: number };
    cache._maxCacheItemCount = Math.max(LEAST_TILES, Math.ceil((grids + 0.34) * ofAGrid));
  }

  /** Draw icons as large as `sizes` says, or all whole. */
  shrinkTo(sizes: Sizes | null): void {
    if (sizes === this.sizes) return;
    this.sizes = sizes;
    void this.viewer.requestInvalidate(true);
  }

  private async shrink(event: OpenSeadragon.TileInvalidatedEvent): Promise<void> {
    const { sizes } = this;
    const { tile, tiledImage } = event;
    const shown = this.shown.get(tiledImage);
    if (sizes === null || shown === undefined || shown.grid.side !== sizes.side) return;
    const finestPx = cellPx(shown.grid, shown.evidence) ?? shown.grid.cell_px;
    const source = (await event.getData("context2d")) as CanvasRenderingContext2D | undefined;
    if (source === undefined || (await event.outdated())) return;
    const place = {
      column: tile.x,
      row: tile.y,
      tilePx: shown.grid.tile_cells * finestPx,
      cellPx: finestPx / 2 ** (finestLevel(shown.grid, shown.evidence) - tile.level),
    };
    const drawn = shrunk(source.canvas, place, sizes);
    if (drawn !== null) await event.setData(drawn, "context2d");
  }

  /** The square of a grid under a point of the element, in CSS pixels; as drawn at this moment, not where it will be. */
  placeAt(x: number, y: number, side: number): Place | null {
    if (this.images.length === 0) return null;
    const point = this.viewer.viewport.pointFromPixel(new OpenSeadragon.Point(x, y), true);
    return placeAt(point.x, point.y, side);
  }

  /** The point of the map under a point of the element; beside the map the nearest on its edge. */
  pointAt(x: number, y: number): { x: number; y: number } {
    const point = this.viewer.viewport.pointFromPixel(new OpenSeadragon.Point(x, y), true);
    return { x: Math.min(Math.max(point.x, 0), 1), y: Math.min(Math.max(point.y, 0), 1) };
  }

  /** Where a place is on the element at this moment, in CSS pixels. */
  boxOnScreen(place: Place): { x: number; y: number; size: number } {
    const box = boxOf(place);
    const { viewport } = this.viewer;
    const corner = viewport.pixelFromPoint(new OpenSeadragon.Point(box.x, box.y), true);
    return { x: corner.x, y: corner.y, size: this.mapPx() * box.size };
  }

  /** The middle of the view, as a point of the map. */
  centre(): { x: number; y: number } {
    return this.viewer.viewport.getCenter(true);
  }

  /** Side of the whole map on the screen, in CSS pixels. */
  mapPx(): number {
    const { viewport } = this.viewer;
    return viewport.getContainerSize().x * viewport.getZoom(true);
  }

  get isOpen(): boolean {
    return this.images.length > 0;
  }

  /** Move as little as will bring a place into the part of the element that the insets leave free. */
  bringIntoView(place: Place, insets: Insets): void {
    if (this.images.length === 0) return;
    const { viewport } = this.viewer;
    const box = boxOf(place);
    const corner = viewport.pixelFromPoint(new OpenSeadragon.Point(box.x, box.y), false);
    const size = viewport.getContainerSize().x * viewport.getZoom(false) * box.size;
    const free = viewport.getContainerSize();
    const x = shiftInto(corner.x, corner.x + size, insets.left, free.x - insets.right);
    const y = shiftInto(corner.y, corner.y + size, insets.top, free.y - insets.bottom);
    if (x !== 0 || y !== 0) viewport.panBy(viewport.deltaPointsFromPixels(new OpenSeadragon.Point(x, y), false));
  }

  panBy(x: number, y: number): void {
    const { viewport } = this.viewer;
    viewport.panBy(viewport.deltaPointsFromPixels(new OpenSeadragon.Point(x, y), false)).applyConstraints();
  }

  zoomBy(factor: number): void {
    this.viewer.viewport.zoomBy(factor).applyConstraints();
  }

  /** Where one looks, or is about to; null where that is the whole map. */
  view(): View | null {
    const { viewport } = this.viewer;
    const { x, y } = viewport.getCenter(false);
    const zoom = viewport.getZoom(false) / this.homeZoom();
    const isHome = Math.abs(x - this.homeX()) < 0.005 && Math.abs(y - 0.5) < 0.005 && Math.abs(zoom - 1) < 0.01;
    const round = (value: number): number => Number(value.toFixed(3));
    return isHome ? null : { x: round(x), y: round(y), zoom: round(zoom) };
  }

  look(view: View | null, isAtOnce: boolean): void {
    this.first = view;
    if (!this.isOpen) return;
    if (view === null) return this.goHome(isAtOnce || this.isCalm);
    const { viewport } = this.viewer;
    viewport.zoomTo(view.zoom * this.homeZoom(), undefined, isAtOnce || this.isCalm);
    viewport.panTo(new OpenSeadragon.Point(view.x, view.y), isAtOnce || this.isCalm);
  }

  /** What is on the screen at this moment, in OpenSeadragon's own zoom: for a map of the same size to follow. */
  exactView(): View {
    const { viewport } = this.viewer;
    const { x, y } = viewport.getCenter(true);
    return { x, y, zoom: viewport.getZoom(true) };
  }

  lookExactly(view: View): void {
    if (!this.isOpen) return;
    const now = this.exactView();
    if (Math.abs(now.x - view.x) + Math.abs(now.y - view.y) < 1e-6 && Math.abs(now.zoom / view.zoom - 1) < 1e-6) return;
    const { viewport } = this.viewer;
    viewport.zoomTo(view.zoom, undefined, true);
    viewport.panTo(new OpenSeadragon.Point(view.x, view.y), true);
  }

  /** The picture on the screen, without what lies over it. */
  get canvas(): HTMLCanvasElement {
    return this.viewer.drawer.canvas as HTMLCanvasElement;
  }

  destroy(): void {
    this.viewer.destroy();
  }

  /** OpenSeadragon's zoom of the whole map: 1 where the map is as wide as the element. */
  private homeZoom(): number {
    const { x, y } = this.viewer.viewport.getContainerSize();
    return Math.min(1, y / x) / (1 + 2 * MARGIN);
  }

  /** The middle of the view of the whole map: not the map's own where that would lie under what covers the left. */
  private homeX(): number {
    const { x } = this.viewer.viewport.getContainerSize();
    const side = x * this.homeZoom();
    return 0.5 - shiftClear(x, side, this.coveredPx, MARGIN * side) / side;
  }

  /** So many pixels at the left are covered: who looks at the whole map sees it beside them, if there is room. */
  keepClear(coveredPx: number): void {
    if (coveredPx === this.coveredPx) return;
    const isHome = this.isOpen && this.view() === null;
    this.coveredPx = coveredPx;
    if (isHome) this.home();
  }

  /** The whole map, with some air round it. */
  home(): void {
    this.goHome(this.isCalm);
  }

  private goHome(isAtOnce: boolean): void {
    this.viewer.viewport.fitBounds(new OpenSeadragon.Rect(this.homeX() - 0.5 - MARGIN, -MARGIN, 1 + 2 * MARGIN, 1 + 2 * MARGIN), isAtOnce);
  }

  private reveal(item: OpenSeadragon.TiledImage, key: string): void {
    const finish = () => {
      item.setOpacity(1);
      for (const other of [...this.images]) if (other !== item) this.remove(other);
      this.revealed = key;
      this.holdTiles();
      this.afterDraw(() => {
        if (key === this.wanted) this.events.drawn();
      });
    };
    if (this.isCalm || item.getOpacity() === 1) return finish();
    const start = performance.now();
    const step = (now: number) => {
      if (key !== this.wanted) return this.remove(item);
      const share = Math.min((now - start) / FADE_MS, 1);
      if (share === 1) return finish();
      item.setOpacity(share);
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  private remove(item: OpenSeadragon.TiledImage): void {
    if (this.images.length > 1 && this.images.includes(item)) {
      this.images = this.images.filter((other) => other !== item);
      this.shown.delete(item);
      this.viewer.world.removeItem(item);
    }
  }

  /** Once the change has been drawn and the browser has put it on the screen. */
  private afterDraw(then: () => void): void {
    this.viewer.addOnceHandler("update-viewport", () => requestAnimationFrame(() => requestAnimationFrame(then)));
    this.viewer.forceRedraw();
  }
}

/** OpenSeadragon puts a <style> into the page, which the page's policy forbids, unless it finds its own. This one is inert. */
function keepStyleSheetOut(): void {
  const marker = document.createElementNS("urn:actatlas:inert", "style");
  marker.setAttribute("data-openseadragon-mobile-css", "");
  document.head.append(marker);
}

/**
 * A browser keeps what it decoded for an <img> that was drawn, beside the canvas that it was drawn on: twice the memory.
 * Of a bitmap that is closed it keeps nothing.
 */
function decodeWithoutCopies(): void {
  const decoding = new WeakMap<HTMLImageElement, Promise<ImageBitmap>>();
  const toCanvas = async (_: OpenSeadragon.Tile, image: HTMLImageElement): Promise<CanvasRenderingContext2D | null> => {
    const decoded = createImageBitmap(image);
    decoding.set(image, decoded);
    const bitmap = await decoded;
    const canvas = document.createElement("canvas");
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context?.drawImage(bitmap, 0, 0);
    bitmap.close();
    return context;
  };
  // What an image holds decoded is let go of with it, not when it is collected; OpenSeadragon does not wait for the canvas.
  const letGo = (image: HTMLImageElement): void => {
    const empty = (): void => image.removeAttribute("src");
    Promise.resolve(decoding.get(image)).then(empty, empty);
  };
  OpenSeadragon.converter.learn("image", "context2d", toCanvas, 1, 2);
  OpenSeadragon.converter.learnDestroy("image", letGo);
}

function tileSource(layer: LayerValue, grid: GridValue, evidence: Evidence): object {
  const size = fullPx(grid, evidence);
  return {
    width: size,
    height: size,
    tileSize: grid.tile_cells * (cellPx(grid, evidence) ?? grid.cell_px),
    tileOverlap: 0,
    minLevel: Math.min(LEAST_LEVEL, finestLevel(grid, evidence)),
    maxLevel: finestLevel(grid, evidence),
    getTileUrl: (level: number, column: number, row: number) => tileUrl(layer, grid, level, column, row, evidence),
    ...(notebook === null ? {} : ASKED_TILES),
    hasTransparency: () => true, // squares without a cell are clear: a finer tile must wipe the coarser one away
  };
}

// Made by `npm run build` from docs/schema/site-*.json: do not edit.

/**
 * What site/atlas.js hands to the page: `actatlas("atlas", VALUE);`
 */
export interface AtlasValue {
  format_version: 1;
  title: string;
  /**
   * where network and photos came from
   */
  origin: string;
  /**
   * the network's spec
   */
  network: string;
  /**
   * no icon is still to come
   */
  is_finished: boolean;
  photos: {
    listed: number;
    used: number;
    skipped: number;
  };
  /**
   * class names in the order of the network's logits
   */
  labels: string[] | null;
  /**
   * layers in forward order, then atlases of classes
   *
   * @minItems 1
   */
  layers: LayerValue[];
}
export interface LayerValue {
  name: string;
  /**
   * of an atlas of one class: the layer that it is in; null for a layer
   */
  of: string | null;
  /**
   * its folder under layers/
   */
  slug: string;
  type: string;
  /**
   * C, H, W
   */
  shape: number[];
  stride: number;
  /**
   * side, in network input pixels, of the part of a photo that an activation answers to
   */
  patch_px: number | null;
  activations: number;
  attribution: "patch-replacement" | "mean-replacement" | "gradient" | "smooth-gradient" | "removal" | null;
  /**
   * coarsest first
   */
  grids: GridValue[];
}
export interface GridValue {
  side: number;
  cells: number;
  /**
   * cells that have their icon
   */
  painted: number;
  /**
   * side of an icon in the finest tiles
   */
  cell_px: number;
  /**
   * icons along a tile's edge
   */
  tile_cells: number;
  /**
   * sheets of real patches; null where there are none
   */
  patches: null | PatchesValue;
}
export interface PatchesValue {
  /**
   * patches a cell, at most
   */
  count: number;
  size_px: number;
  /**
   * a sheet holds block × block cells
   */
  block: number;
}

/**
 * What site/layers/LAYER/G/cells.js hands to the page: item k of every list is cell k, row-major.
 */
export interface CellsValue {
  side: number;
  columns: number[];
  /**
   * row 0 is on top
   */
  rows: number[];
  /**
   * activations
   */
  counts: number[];
  /**
   * distinct photos
   */
  photos: number[];
  /**
   * of the icon's answer to the cell's mean, both less the layer's mean; null where not painted yet
   */
  cosine: (number | null)[];
  /**
   * how many cells' means are nearer to the icon's answer than its own; 0 is identified
   */
  rank: (number | null)[];
  /**
   * mean cosine of the cell's activations to their mean, both less the layer's mean
   */
  cohesion: (number | null)[];
  /**
   * icon: it answers less like the cell than the cell's own photos do; members: they have little in common
   */
  remarks: ("icon" | "members")[][];
  /**
   * indices of the classes that the cell speaks for more than the layer's average activation does, most of all first
   */
  classes: number[][] | null;
  /**
   * what those logits lose when an activation of the cell goes, mean over its activations, over the mean of all activations of the layer
   */
  values: (number | null)[][] | null;
  /**
   * for each column that came with the photos: the commonest values of each cell's photos, with how many have them
   */
  photo_columns: {
    [k: string]: unknown[][][];
  };
}

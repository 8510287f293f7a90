// Made by `npm run build` from docs/schema/: do not edit.

/**
 * columns of numbers, one number a cell; null where there are none
 */
export type Numbers = null | NumbersValue;

/**
 * What site/atlas.js hands to the page: `actatlas("atlas", VALUE);`
 */
export interface AtlasValue {
  format_version: 2;
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
   * stands where cells show the photo nearest their mean: the atlas is of vectors that came without their network
   */
  pictures?: "photos";
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
   * what there is of photos: real patches; thumbs, originals: these, and the photos that they are of in thumbs/N.jpg or originals/N.jpg
   */
  examples: "none" | "patches" | "thumbs" | "originals";
  /**
   * class names in the order of the network's logits
   */
  labels: string[] | null;
  /**
   * columns that came with the photos and are in columns.js
   */
  columns: string[];
  has: FindingsValue;
  /**
   * layers in forward order, then atlases of classes
   *
   * @minItems 1
   */
  layers: LayerValue[];
}
/**
 * what further files there are
 */
export interface FindingsValue {
  /**
   * its two layers are those of two networks
   */
  comparison: boolean;
  confusions: boolean;
  /**
   * second sets of photos were placed on it
   */
  projections: boolean;
  traces: boolean;
  tour: boolean;
  /**
   * what else the classes are called
   */
  names: boolean;
}
export interface LayerValue {
  name: string;
  /**
   * of an atlas of one class: the layer that it is in; null for a layer
   */
  of: string | null;
  /**
   * stands where the map lies between two classes: the one at its left end and the one at its right; heights go by likeness
   *
   * @minItems 2
   * @maxItems 2
   */
  ends?: number[];
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
   * the pool of real patches that its cells show, in sheets patches/N.jpg; null where there is none
   */
  patches: null | PatchesValue;
  /**
   * coarsest first
   */
  grids: GridValue[];
  /**
   * named parts of the map, those first that most of it belongs to and that are clearest
   */
  regions: RegionValue[];
  /**
   * what somebody named: by it the columns of numbers.directions are called
   */
  directions: string[];
}
export interface PatchesValue {
  /**
   * patch i is in sheet i ÷ sheet_edge²
   */
  count: number;
  size_px: number;
  /**
   * a full sheet holds sheet_edge × sheet_edge patches, row-major
   */
  sheet_edge: number;
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
   * cells along a tile's edge, in every view
   */
  tile_cells: number;
  /**
   * side of a cell in the finest tiles of the views patches_files and average_files; null where there are none
   */
  view_px: number | null;
  numbers: GridNumbersValue;
  /**
   * photos.js says which photos each cell is of
   */
  lists_photos: boolean;
}
export interface GridNumbersValue {
  classes: Numbers;
  channels: Numbers;
  directions: Numbers;
  likeness: Numbers;
}
export interface NumbersValue {
  /**
   * columns
   */
  count: number;
  /**
   * columns a file
   */
  block: number;
}
export interface RegionValue {
  /**
   * of the cell nearest to its middle
   */
  x: number;
  y: number;
  /**
   * of the coarsest grid
   */
  cells: number;
  /**
   * that its photos are taken for more often than the map's, the clearest first
   */
  classes: number[];
  /**
   * by how many of Poisson's deviations more of the region's photos are taken for them
   */
  scores: number[];
  /**
   * stands where regions came with the vectors: classes are empty then, and the score is the share of its activations that are in it
   */
  name?: string;
}

/**
 * What site/about.js hands to the page: what was done, with what.
 */
export interface AboutValue {
  network: {
    spec: string;
    weights_sha256: string;
    class_count: number | null;
    /**
     * height and width
     *
     * @minItems 2
     * @maxItems 2
     */
    input_px: number[];
  };
  photos: {
    listed: number;
    used: number;
    skipped: number;
    source: string;
  };
  layers: AboutLayer[];
  /**
   * name and value, in words
   */
  settings: string[][];
  versions: {
    [k: string]: string;
  };
}
export interface AboutLayer {
  name: string;
  type: string;
  /**
   * channels, height, width
   */
  shape: number[];
  patch_px: number | null;
  activations: number;
  attribution: string | null;
  grids: AboutGrid[];
}
export interface AboutGrid {
  side: number;
  cells: number;
  /**
   * mean over the icons
   */
  cosine: number | null;
  /**
   * share of the icons
   */
  identified: number | null;
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
   * standard errors of the values, before the mean of all is taken off; only where not every activation carries attributions
   */
  errors?: (number | null)[][];
  /**
   * how many photos of the cell the values are estimated from, one activation each; only where not every activation carries attributions
   */
  value_photos?: number[];
  /**
   * for each column that came with the photos: the commonest values of each cell's photos, with how many have them
   */
  photo_columns: {
    [k: string]: unknown[][][];
  };
  /**
   * the channels of each cell's mean that are most above the layer's, strongest first
   */
  channels: number[][] | null;
  /**
   * how far, in deviations over the cells
   */
  channel_scores: (number | null)[][] | null;
  /**
   * the cells whose means are most like each cell's, by index
   */
  near: number[][] | null;
  /**
   * of the means, less the layer's
   */
  near_cosines: (number | null)[][] | null;
  /**
   * only of a comparison's map: what it says of each cell (docs/schema/comparison.json)
   */
  compared?: {
    /**
     * of an activation's nearest, the share that both networks give it
     */
    overlap: number;
    /**
     * of what the first network's groups hold together, what they keep in the second
     */
    kept_of_first: number;
    kept_of_second: number;
    change: "vanishes" | "appears" | "class" | null;
    /**
     * of its activations, those of cells that vanish
     */
    vanishing: number;
    appearing: number;
    /**
     * that it speaks for most in the first network
     */
    first_class: string | null;
    second_class: string | null;
    /**
     * of its region; null where that has too few photos
     */
    cka: number | null;
    cka_error: number | null;
  }[];
  /**
   * of each cell the numbers of its patches in the layer's pool, the member nearest the mean first; null where there is no pool
   */
  patches: number[][] | null;
}

/**
 * What site/layers/LAYER/G/classes/N.js, channels/N.js, directions/N.js and likeness/N.js hand to the page: columns [N·block, (N + 1)·block), a class, channel, direction or cell each.
 */
export interface BlockValue {
  /**
   * the largest size in each column
   */
  peaks: number[];
  /**
   * of each column a character a cell, row-major: A to Z, a to z, 0 to 9 and - are −31 to 31, and the number is the peak times the square of level ÷ 31, with the level's sign
   */
  levels: string[];
}

/**
 * What site/layers/LAYER/G/photos.js hands to the page: of each cell the ids of its photos, ascending, each less the one before; null where they are not listed.
 */
export type PhotosValue = number[][] | null;

/**
 * What site/layers/LAYER/places.js hands to the page, where photos ship: item i of each list is patch i of the layer's pool.
 */
export interface PlacesValue {
  /**
   * N of the photo's file thumbs/N.jpg or originals/N.jpg
   */
  photos: number[];
  /**
   * left, top, right and bottom of the patch, in thousandths of the photo's sides
   */
  boxes: number[][];
}

/**
 * What site/names.js hands to the page: of each class what else it is called, such as synonyms and its WordNet id.
 */
export type NamesValue = string[][];

/**
 * What site/columns.js hands to the page: for each column that came with the photos, unless it has too many values, its values and which of them each photo has.
 */
export interface ColumnsValue {
  [k: string]: ColumnValue;
}
export interface ColumnValue {
  values: string[];
  /**
   * by photo id, an index of values
   */
  of: number[];
}

/**
 * What site/confusions.js hands to the page: misunderstandings by layer, the best proven first.
 */
export type ConfusionsValue = StoryValue[];

export interface StoryValue {
  layer: string;
  grid: number;
  column: number;
  row: number;
  /**
   * in its layer, 1 first
   */
  rank: number;
  /**
   * index of the class that it is taken for
   */
  target: number;
  /**
   * what it is
   */
  concept: string;
  /**
   * in one line, with its proof
   */
  told: string;
  /**
   * what was pasted, and the share of the photos that it turned; null where it was not tested
   */
  rates: unknown[][] | null;
  /**
   * of the patch's share, 95%
   */
  interval: number[] | null;
  /**
   * photos
   */
  scored: number | null;
  /**
   * the share with a second network
   */
  transfer: number | null;
  /**
   * a picture of the site
   */
  patch: string | null;
  story: string | null;
}

/**
 * What site/projections.js hands to the page: second sets of photos that were placed on the atlas.
 */
export type ProjectionsValue = ProjectionValue[];

export interface ProjectionValue {
  key: string;
  name: string;
  /**
   * that could be used
   */
  photos: number;
  layers: ProjectedLayer[];
}
export interface ProjectedLayer {
  /**
   * column and row, in the grid of `side`, of cells that they hardly reach
   */
  unreached: number[][];
  /**
   * of cells that they reach more often than the atlas's own photos do
   */
  more: number[][];
  layer: string;
  /**
   * of the coarsest grid that is shown
   */
  side: number;
  /**
   * what was found, sentence by sentence
   */
  told: string[];
  patches: ProjectedPatch[];
  /**
   * coarsest first; those with enough activations a cell
   */
  grids: ProjectedGrid[];
}
export interface ProjectedPatch {
  /**
   * far: the atlas has nothing like it; more: from a cell that they reach more often
   */
  kind: "far" | "more";
  /**
   * of the site
   */
  picture: string;
  grid: number;
  column: number;
  row: number;
  /**
   * the class that the network takes its photo for
   */
  taken_for: string | null;
  /**
   * cosine distance to the nearest activation of the atlas
   */
  distance: number;
}
export interface ProjectedGrid {
  side: number;
  /**
   * of each cell the base-2 logarithm of its reach: 0 where both sets are alike, negative where the new photos come less often
   */
  doublings: number[];
}

/**
 * What site/traces.js hands to the page: which earlier cells late cells are made of.
 */
export type TracesValue = TraceValue[];

export interface TraceValue {
  layer: string;
  grid: number;
  /**
   * COLUMN,ROW of the late cell
   */
  cell: string;
  photos: number;
  answer: number;
  origins: OriginsValue[];
}
export interface OriginsValue {
  layer: string;
  grid: number;
  /**
   * share of the answer that is lost without the contributors
   */
  lost_named: number;
  /**
   * and without as many other cells of these photos
   */
  lost_random: number;
  contributors: ContributorValue[];
}
export interface ContributorValue {
  /**
   * COLUMN,ROW
   */
  cell: string;
  /**
   * its share of the late cell's answer
   */
  contribution: number;
  positions: number;
  /**
   * that pass through both cells
   */
  photos: number;
}

/**
 * What site/tour.js hands to the page, and tour.json holds: the stops of a tour.
 */
export type TourValue = StopValue[];

export interface StopValue {
  title: string;
  /**
   * an address of the page
   */
  link: string;
  /**
   * paragraphs
   */
  text: string[];
}

export type LabShare = number;
/**
 * The likeliest classes; none of a network without classes.
 *
 * @maxItems 5
 */
export type LabTop = LabClass[];
/**
 * to be asked with
 */
export type LabPatch =
  | {
      key: string;
    }
  | {
      layer: string;
      rank: number;
    }
  | {
      cell: LabCell;
      example: number;
    }
  | {
      cell: LabCell;
      icon: true;
    };
/**
 * of the patch's centre, from the left
 */
export type LabShare1 = number;
/**
 * of the patch's centre, from the top
 */
export type LabShare2 = number;

/**
 * What the lab answers, by question.
 */
export interface LabAnswers {
  status: LabStatus;
  photos: LabPhotos;
  picture: LabPicture;
  predict: LabPrediction;
  suggest: LabSuggestions;
  icon: LabIcon;
  facets: LabFacets;
  lights: LabLights;
}
export interface LabStatus {
  /**
   * why the lab is closed; null where it is open
   */
  closed: string | null;
  /**
   * what an open lab has to do without, and why
   */
  without: {
    photos?: string;
    classes?: string;
    lights?: string;
    icon?: string;
  };
  /**
   * of the atlas, that can be chosen
   */
  photos: number;
  /**
   * height and width of what the network sees
   */
  input_px: number[] | null;
  /**
   * proposals that are known
   */
  misunderstandings: number;
}
export interface LabPhotos {
  /**
   * that the query fits
   */
  total: number;
  photos: LabPhoto[];
}
export interface LabPhoto {
  id: number;
  columns: {
    [k: string]: string;
  };
  /**
   * the class that most of its crops were taken for
   */
  taken_for: string | null;
  /**
   * JPEG, base64; null where the photo cannot be read
   */
  thumbnail: string | null;
}
/**
 * A picture that was given.
 */
export interface LabPicture {
  key: string;
  /**
   * width and height
   *
   * @minItems 2
   * @maxItems 2
   */
  size: number[];
  /**
   * JPEG, base64: as a photo, as the network sees it
   */
  picture: string;
  /**
   * JPEG, base64: as a patch, small
   */
  patch: string;
}
export interface LabPrediction {
  before: LabTop;
  /**
   * with the patch; null without one
   */
  after: LabTop | null;
  /**
   * of both lists, the likeliest after first; null without a patch
   */
  classes: LabChange[] | null;
  /**
   * of the patch, as fractions of what the network sees: left, top, right, bottom; null without one
   */
  box: LabShare[] | null;
  /**
   * PNG, base64: what the network saw, with the patch where there is one
   */
  picture: string;
  seconds: number;
}
export interface LabClass {
  index: number;
  class: string;
  probability: LabShare;
}
export interface LabChange {
  index: number;
  class: string;
  before: LabShare;
  after: LabShare;
}
export interface LabSuggestions {
  from: "misunderstandings" | "cells";
  patches: LabSuggestion[];
}
export interface LabSuggestion {
  patch: LabPatch;
  /**
   * JPEG, base64, small
   */
  picture: string;
  /**
   * what the patch is of, as far as anybody says
   */
  shows: string;
  target: {
    index: number;
    class: string;
  };
  place: LabPlace;
  /**
   * the target's probability on the photo; null without a photo
   */
  before: LabShare | null;
  /**
   * the same with the patch at that place
   */
  after: LabShare | null;
  /**
   * of its proof; null where it was not tested
   */
  flip_rate: LabShare | null;
  /**
   * photos of the proof
   */
  tested: number | null;
}
export interface LabCell {
  /**
   * as the page calls it
   */
  layer: string;
  side: number;
  column: number;
  row: number;
}
export interface LabPlace {
  x: LabShare1;
  y: LabShare2;
  /**
   * its longer side, as a share of the shorter side of what the network sees
   */
  side: number;
}
export interface LabIcon {
  /**
   * PNG, base64
   */
  picture: string;
  /**
   * by which it can be a patch
   */
  key: string;
  cosine: number;
  rank: number;
  /**
   * of the grid: the candidates of the rank
   */
  cells: number;
  steps: number;
  /**
   * of the icon on the map
   */
  stored: {
    cosine: number;
    rank: number;
  };
  seconds: number;
}
export interface LabFacets {
  /**
   * what a cell is made of, the largest part first
   */
  facets: LabFacet[];
  /**
   * of the grid
   */
  cells: number;
  seconds: number;
}
export interface LabFacet {
  /**
   * its icon, PNG, base64
   */
  picture: string;
  cosine: number;
  /**
   * among the other cells' means and the facets'
   */
  rank: number;
  activations: number;
  photos: number;
  /**
   * of different photos, the nearest to its mean first: JPEG, base64
   */
  patches: string[];
  /**
   * why there are none
   */
  without_patches: string | null;
}
export interface LabLights {
  layers: LabLayerLights[];
}
export interface LabLayerLights {
  layer: string;
  side: number;
  /**
   * of the photo, that were looked at
   */
  places: number;
  /**
   * column, row, share of the places whose nearest cell it is, the highest cosine of these; the largest share first
   */
  cells: number[][];
}

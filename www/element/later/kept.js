// Where it is written down that pictures are kept: it is asked before the folder's code is there.

/** Key of local storage. */
export const KEPT = "thisbut:own";

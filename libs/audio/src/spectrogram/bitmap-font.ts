/**
 * A font with the few signs that an axis needs, five dots wide and seven high. A `#` is ink.
 *
 * Vega, which draws the reports, does not draw these pictures. They are PNG files with one pixel for each value of a tile, and Vega
 * writes PNG only with `canvas`, a native package whose install script downloads a binary. An SVG would hold 32,768 rectangles a tile.
 */
const glyphs: Record<string, string[]> = {
  '0': [' ### ', '#   #', '#  ##', '# # #', '##  #', '#   #', ' ### '],
  '1': ['  #  ', ' ##  ', '  #  ', '  #  ', '  #  ', '  #  ', ' ### '],
  '2': [' ### ', '#   #', '    #', '   # ', '  #  ', ' #   ', '#####'],
  '3': ['#####', '   # ', '  #  ', '   # ', '    #', '#   #', ' ### '],
  '4': ['   # ', '  ## ', ' # # ', '#  # ', '#####', '   # ', '   # '],
  '5': ['#####', '#    ', '#### ', '    #', '    #', '#   #', ' ### '],
  '6': ['  ## ', ' #   ', '#    ', '#### ', '#   #', '#   #', ' ### '],
  '7': ['#####', '    #', '   # ', '  #  ', ' #   ', ' #   ', ' #   '],
  '8': [' ### ', '#   #', '#   #', ' ### ', '#   #', '#   #', ' ### '],
  '9': [' ### ', '#   #', '#   #', ' ####', '    #', '   # ', ' ##  '],
  '.': ['     ', '     ', '     ', '     ', '     ', ' ##  ', ' ##  '],
  '-': ['     ', '     ', '     ', '#####', '     ', '     ', '     '],
  k: ['#    ', '#    ', '#  # ', '# #  ', '##   ', '# #  ', '#  # '],
  H: ['#   #', '#   #', '#   #', '#####', '#   #', '#   #', '#   #'],
  z: ['     ', '     ', '#####', '   # ', '  #  ', ' #   ', '#####'],
  s: ['     ', '     ', ' ####', '#    ', ' ### ', '    #', '#### '],
  d: ['    #', '    #', ' ## #', '#  ##', '#   #', '#  ##', ' ## #'],
  B: ['#### ', '#   #', '#   #', '#### ', '#   #', '#   #', '#### '],
  ' ': [],
};

export const glyphWidth = 6;
export const glyphHeight = 7;

/** Calls `ink` for every dot of a text with its upper left corner at the origin. @throws RangeError for a sign without a glyph */
export function drawText(text: string, ink: (x: number, y: number) => void): void {
  [...text].forEach((sign, place) => {
    const glyph = glyphs[sign];
    if (!glyph) throw new RangeError(`no glyph for ${JSON.stringify(sign)}`);
    glyph.forEach((row, y) => {
      for (let x = 0; x < row.length; x++) if (row[x] === '#') ink(place * glyphWidth + x, y);
    });
  });
}

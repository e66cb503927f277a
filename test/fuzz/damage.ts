/** Seeded damage: bytes with pieces changed, left out, doubled and cut off, and JSON with values that no writer would write. */
import type { SeededRandom } from '../chaos/seeded-random.js';

/** Words that are something else to JavaScript, to a path, to Unicode, to CSV or to a terminal. */
export const hostileWords = [
  ...['constructor', '__proto__', 'toString', 'null', 'NaN', '-1', '1e309', '', ' ', '.', '..', '../..', '/etc/passwd', 'corpora/', '//'],
  ...['\u0000', '\ufeff', '\ud800', '\u202eabc', '\u001b[31m', '\r\n', '"', "';--", '%2e%2e%2f', '%00', 'a\\b', 'x'.repeat(3_000)],
];

const hostileNumbers = [-1, 0, 0.5, 1e308, 2 ** 31, 2 ** 53, -(2 ** 53)];

export function damaged(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  let left: Buffer = Buffer.from(bytes);
  for (let change = random.below(4); change >= 0; change--) left = changedOnce(left, random);
  return new Uint8Array(left);
}

function changedOnce(bytes: Buffer, random: SeededRandom): Buffer {
  // Headers lie in front.
  const from = random.chance(0.5) ? random.below(Math.min(200, bytes.length + 1)) : random.below(bytes.length + 1);
  const length = 1 + random.below(300);
  const [before, after] = [bytes.subarray(0, from), bytes.subarray(from)];
  switch (random.choose({ byte: 3, word: 2, zeros: 1, noise: 1, 'leave out': 1, double: 1, cut: 1 })) {
    case 'byte':
      return Buffer.concat([before, Buffer.from([random.below(256)]), after.subarray(1)]);
    case 'word':
      return Buffer.concat([before, Buffer.from(random.pick(['ffffffff', '00000000', '7fffffff', '80000000']), 'hex'), after.subarray(4)]);
    case 'zeros':
      return Buffer.concat([before, Buffer.alloc(length), after.subarray(length)]);
    case 'noise':
      return Buffer.concat([before, noise(random, length), after.subarray(length)]);
    case 'leave out':
      return Buffer.concat([before, after.subarray(length)]);
    case 'double':
      return Buffer.concat([before, after.subarray(0, length), after]);
    case 'cut':
      return Buffer.from(before);
  }
}

/** Damage that leaves most of a text as it was, with hostile words put in. */
export function damagedText(text: string, random: SeededRandom): Uint8Array {
  if (random.chance(0.3)) return damaged(Buffer.from(text), random);
  const bytes = Buffer.from(text);
  const from = random.below(bytes.length + 1);
  const word = Buffer.from(random.pick(hostileWords));
  return new Uint8Array(Buffer.concat([bytes.subarray(0, from), word, bytes.subarray(from + random.below(8))]));
}

export function noise(random: SeededRandom, length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, () => random.below(256)));
}

/** A copy in which one value, somewhere, is another one, or is not there. */
export function hostileCopy(value: unknown, random: SeededRandom): unknown {
  if (Array.isArray(value) && value.length > 0 && random.chance(0.9)) {
    const at = random.below(value.length);
    return value.map((each: unknown, place) => (place === at ? hostileCopy(each, random) : each));
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && random.chance(0.9)) {
    const entries = Object.entries(value);
    if (entries.length === 0) return { [random.pick(hostileWords)]: 1 };
    const at = random.below(entries.length);
    if (random.chance(0.15)) return Object.fromEntries(entries.filter((_, place) => place !== at));
    return Object.fromEntries(entries.map(([name, each], place) => [name, place === at ? hostileCopy(each, random) : each]));
  }
  return hostileValue(random);
}

export function hostileValue(random: SeededRandom): unknown {
  switch (random.choose({ word: 5, number: 3, other: 2 })) {
    case 'word':
      return random.pick(hostileWords);
    case 'number':
      return random.pick(hostileNumbers);
    case 'other':
      return random.pick<unknown>([null, true, [], {}, [null], [[[[]]]], { length: 1e9 }]);
  }
}

/** Text that is no JSON, or JSON that no schema knows. */
export function wrongShape(random: SeededRandom): Buffer {
  const deep = 200_000;
  const choices: (() => Buffer)[] = [
    () => noise(random, 1 + random.below(500)),
    () => Buffer.alloc(0),
    () => Buffer.from(JSON.stringify(hostileValue(random))),
    () => Buffer.from(`${'['.repeat(deep)}${']'.repeat(deep)}`),
    () => Buffer.from('{"a":'.repeat(deep)),
    () => Buffer.from('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
    () => Buffer.from(`{"name":"${'x'.repeat(300_000)}"}`),
    () => Buffer.from(JSON.stringify({ [random.pick(hostileWords)]: hostileValue(random) })),
  ];
  return random.pick(choices)();
}

/** Messages with something wrong in them: a value of another kind somewhere, damaged bytes, or a piece of another message. */
import type { Random } from './random.ts';

/** What a careless or hostile peer writes where something else belongs; as JSON. */
const values = [
  'null',
  'true',
  '""',
  '"x"',
  '[]',
  '{}',
  '-1',
  '-0',
  '1.5',
  '1e999',
  '-1e999',
  '9007199254740993',
  '1e308',
  '"\\ud800"',
  '"\\u0000"',
  '"\\u001b[31m"',
  '"__proto__"',
  '"../../etc/passwd"',
  '"linux/../x"',
  '"sha256:short"',
  `"${'a'.repeat(5000)}"`,
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]',
  '[{"type":"beat"}]',
];

/** Places of a JSON text where a value begins, and where it ends. */
const scalar = /(?<=[:[,])(?:"(?:[^"\\]|\\.)*"|[-\d.e+]+|true|false|null)/g;

/** Samples whose places are looked for once. */
export class HostileJson {
  readonly #samples: readonly {
    readonly text: string;
    readonly places: readonly [start: number, end: number][];
  }[];

  constructor(messages: readonly object[]) {
    this.#samples = messages.map((message) => {
      const text = JSON.stringify(message);
      const places = [...text.matchAll(scalar)].map((found): [number, number] => [
        found.index,
        found.index + found[0].length,
      ]);
      return { text, places };
    });
  }

  next(random: Random): Buffer {
    const { text, places } = random.pick(this.#samples);
    const [start, end] = places.length === 0 ? [0, 0] : random.pick(places);
    switch (random.between(0, 6)) {
      case 0:
      case 1:
        return Buffer.from(text.slice(0, start) + random.pick(values) + text.slice(end));
      case 2:
        return Buffer.from(text.slice(0, random.between(0, text.length + 1)));
      case 3:
        // One more key, which may be there already.
        return Buffer.from(
          `{"${random.pick(['type', 'x', '__proto__', 'attempt'])}":${random.pick(values)},${text.slice(1)}`,
        );
      case 4: {
        const other = random.pick(this.#samples).text;
        return Buffer.from(text.slice(0, start) + other.slice(random.between(0, other.length)));
      }
      default: {
        const bytes = Buffer.from(text);
        for (let count = random.between(1, 4); count > 0; count -= 1) {
          bytes[random.between(0, bytes.length)] = random.between(0, 256);
        }
        return bytes;
      }
    }
  }
}

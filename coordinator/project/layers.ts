/** Mappings that lie over one another: what is extended or inherited, a file's own, an override file's. */
import type { YamlValue } from './yaml-value.ts';

export interface Layer {
  readonly value: YamlValue;
  /** What relative paths in it are relative to. */
  readonly directory: string;
}

/** The values of a key, the uppermost last. `!override` hides what is below, `!reset` the value itself, too. */
export function layersAt(layers: readonly Layer[], key: string): Layer[] {
  const found: Layer[] = [];
  for (const { value: mapping, directory } of layers.toReversed()) {
    if (mapping.isEmpty || mapping.isText) continue;
    const value = mapping.get(key);
    const tag = value.mergeTag;
    if (tag === '!reset') break;
    if (!value.isEmpty) found.unshift({ value, directory });
    if (tag === '!override') break;
  }
  return found;
}

/** The value that counts where values replace each other. */
export function uppermost(layers: readonly Layer[], key: string): Layer | undefined {
  return layersAt(layers, key).at(-1);
}

export function uppermostText(layers: readonly Layer[], key: string): string | undefined {
  return uppermost(layers, key)?.value.optionalText();
}

export function uppermostFlag(layers: readonly Layer[], key: string): boolean {
  return uppermost(layers, key)?.value.flag() ?? false;
}

/** The items of all lists under a key. */
export function itemsAt(layers: readonly Layer[], key: string): Layer[] {
  return layersAt(layers, key).flatMap(({ value, directory }) =>
    value.items().map((item) => ({ value: item, directory })),
  );
}

/** Their texts, in the place of each of which an error of `check` is told. */
export function checkedTexts(values: readonly YamlValue[], check: (text: string) => unknown): string[] {
  return values.map((value) =>
    value.read((text) => {
      check(text);
      return text;
    }),
  );
}

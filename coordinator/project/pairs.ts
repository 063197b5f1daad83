/** Names with values, in the two forms that project files have for them. */
import { layersAt, type Layer } from './layers.ts';
import type { Environment } from './interpolate.ts';
import type { YamlValue } from './yaml-value.ts';

export interface Pair {
  readonly name: string;
  /** No value is not an empty one. */
  readonly value: string | undefined;
  readonly at: YamlValue;
  readonly directory: string;
}

/** Of `{NAME: VALUE}` or `[NAME=VALUE, NAME]`, those of upper layers last. */
export function pairsAt(layers: readonly Layer[], key: string): Pair[] {
  return layersAt(layers, key).flatMap((layer) => pairsOf(layer));
}

function pairsOf({ value, directory }: Layer): Pair[] {
  if (!value.isList) {
    return value
      .entries()
      .map(([name, at]) => ({ name, value: at.isEmpty ? undefined : at.text(), at, directory }));
  }
  return value.items().map((at) => {
    const text = at.text();
    const equals = text.indexOf('=');
    return equals === -1
      ? { name: text, value: undefined, at, directory }
      : { name: text.slice(0, equals), value: text.slice(equals + 1), at, directory };
  });
}

/** As Compose has it: an argument without a value takes that of the environment, and is left out without one. */
export function argumentsAt(
  layers: readonly Layer[],
  key: string,
  environment: Environment,
): Record<string, string> {
  return present(pairsAt(layers, key).map(({ name, value }) => [name, value ?? environment[name]]));
}

/** As Compose has it: a label without a value is empty. */
export function labelsAt(layers: readonly Layer[], key: string): Record<string, string> {
  return Object.fromEntries(pairsAt(layers, key).map(({ name, value }) => [name, value ?? '']));
}

function present(
  entries: readonly (readonly [name: string, value: string | undefined])[],
): Record<string, string> {
  // An upper layer may take a lower one's value away, so that all are told apart first.
  return Object.fromEntries(
    [...new Map(entries)].filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

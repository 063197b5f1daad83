/** Prometheus' text format, read back; and what its conventions ask of names, as `promtool check metrics` does. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
}

export interface Exposition {
  readonly families: readonly Family[];
  readonly samples: readonly Sample[];
  /** Sum of the samples of this name that have these labels; undefined where there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

export function readExposition(text: string): Exposition {
  const help = new Map(
    [...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name = '', words = '']) => [name, words]),
  );
  const families = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => ({
    name,
    type,
    help: help.get(name) ?? '',
  }));
  const samples = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line): Sample => {
      const [, name, labels = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (name === undefined) throw new Error(`not a sample: ${line}`);
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
      return {
        name,
        labels: Object.fromEntries(pairs.map(([, label = '', word = '']) => [label, word])),
        value: Number(value),
      };
    });
  return {
    families,
    samples,
    value(name, wanted = {}) {
      const found = samples.filter(
        (sample) =>
          sample.name === name &&
          Object.entries(wanted).every(([label, word]) => sample.labels[label] === word),
      );
      return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
    },
  };
}

/** What is wrong with the names, a line each. */
export function complaints({ families }: Exposition): string[] {
  return families.flatMap(({ name, type, help }) => [
    ...(help === '' ? [`${name} has no help`] : []),
    ...(/^[a-z][a-z0-9_]*$/.test(name) ? [] : [`${name} is not in snake case`]),
    ...((type === 'counter') === name.endsWith('_total') ? [] : [`${name} is a ${type}`]),
    ...(/_(milliseconds|ms|minutes|kilobytes|megabytes|percent)(_|$)/.test(name)
      ? [`${name} is in no base unit`]
      : []),
    ...(/_(gauge|counter|histogram|summary|count|sum|bucket)$/.test(name) ? [`${name} names its type`] : []),
    ...(/_(seconds|bytes)(?!$|_total$)/.test(name) ? [`the unit of ${name} is not at its end`] : []),
  ]);
}

/** Metrics whose values are looked up anew with every scrape. */
import { Counter, Gauge, type Registry } from 'prom-client';

export interface Series {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** Values of the same labels add up. */
export type Tell = (labels: Readonly<Record<string, string | number>>, value: number) => void;

export function gauge(registry: Registry, series: Series, look: (tell: Tell) => void): void {
  const metric = new Gauge({
    ...series,
    registers: [],
    collect() {
      this.reset();
      look((labels, value) => this.inc(labels, value));
    },
  });
  registry.registerMetric(metric);
}

/** What somebody else counts. It begins at nothing when that one restarts, as counters may. */
export function counter(registry: Registry, series: Series, look: (tell: Tell) => void): void {
  const metric = new Counter({
    ...series,
    registers: [],
    collect() {
      this.reset();
      look((labels, value) => this.inc(labels, value));
    },
  });
  registry.registerMetric(metric);
}

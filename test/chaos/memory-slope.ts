/** How the memory of processes grows while they live, however often they are replaced. */
import { readFileSync } from 'node:fs';

/** Milliseconds that a process has to warm up. */
const warm = 60_000;

interface Sample {
  readonly at: number;
  /** Bytes. */
  readonly memory: number;
}

export class MemorySlope {
  readonly #samples = new Map<number, Sample[]>();
  readonly #since = new Map<number, number>();

  note(pid: number): void {
    const now = performance.now();
    const since = this.#since.get(pid) ?? now;
    this.#since.set(pid, since);
    if (now - since < warm) return;
    const memory = residentMemory(pid);
    if (memory !== undefined)
      this.#samples.set(pid, [...(this.#samples.get(pid) ?? []), { at: now, memory }]);
  }

  /** Megabytes; one slope for all processes, each about its own mean. Undefined without processes that lived long enough. */
  perTenMinutes(): number | undefined {
    let covariance = 0;
    let variance = 0;
    for (const samples of this.#samples.values()) {
      const mean = (of: (sample: Sample) => number): number =>
        samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
      const at = mean((sample) => sample.at);
      const memory = mean((sample) => sample.memory);
      for (const sample of samples) {
        covariance += (sample.at - at) * (sample.memory - memory);
        variance += (sample.at - at) ** 2;
      }
    }
    if (variance === 0) return undefined;
    return Number((((covariance / variance) * 600_000) / 1024 ** 2).toFixed(1));
  }
}

function residentMemory(pid: number): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    // It was killed just now.
    return undefined;
  }
}

/** Prometheus metrics of one service, named `undertone_<stage>_<name>_<unit>[_total]`, with bounded labels. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export type { Counter, Gauge, Histogram };

export class Metrics {
  readonly registry = new Registry();

  constructor(private readonly stage: string) {
    collectDefaultMetrics({ register: this.registry });
  }

  counter<Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []): Counter<Label> {
    return new Counter({ name: this.fullName(name), help, labelNames: [...labelNames], registers: [this.registry] });
  }

  gauge<Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []): Gauge<Label> {
    return new Gauge({ name: this.fullName(name), help, labelNames: [...labelNames], registers: [this.registry] });
  }

  /** A gauge whose value is read at each scrape. */
  gaugeOf(name: string, help: string, read: () => number): void {
    new Gauge({
      name: this.fullName(name),
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** @param buckets upper bounds, in the unit of the metric */
  histogram<Label extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly Label[] = [],
  ): Histogram<Label> {
    return new Histogram({ name: this.fullName(name), help, buckets, labelNames: [...labelNames], registers: [this.registry] });
  }

  private fullName(name: string): string {
    return `undertone_${this.stage}_${name}`;
  }
}

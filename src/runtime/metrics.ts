// Metrics: the table of all metrics and the registry of a process. No label holds a tenant, a document or a key.
import {
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  Registry,
  type Metric,
  type OpenMetricsContentType,
} from 'prom-client';
import { SealdexError } from './errors.ts';

interface Row {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

const row = (type: Row['type'], help: string, ...labels: string[]): Row => Object.freeze({ type, help, labels });

/** The metrics list; `(fleet)`: every process reports the same value. A test compares docs/metrics.md with it. */
export const METRICS = Object.freeze({
  sealdex_jobs_total: row(
    'counter',
    'Jobs processed, by kind and outcome (done, superseded, park, retry, defer, pause, dead)',
    'kind',
    'outcome',
  ),
  sealdex_job_failures_total: row(
    'counter',
    'Failures of jobs, by code and reason; deferred jobs are not counted',
    'code',
    'reason',
  ),
  sealdex_jobs_deferred_total: row(
    'counter',
    'Jobs put back without a failure, by code: other jobs have priority, or the job is not due',
    'code',
  ),
  sealdex_dead_letters_total: row('counter', 'Jobs moved to the dead letters, by code', 'code'),
  sealdex_dead_letters_expired_total: row(
    'counter',
    'Dead letters deleted because they exceeded SEALDEX_LETTER_MAX_MS',
  ),
  sealdex_job_phase_seconds: row(
    'histogram',
    'Duration of each job phase (tenant, content, open, parse, extract, record, encrypt, store)',
    'kind',
    'phase',
  ),
  sealdex_jobs_active: row('gauge', 'Jobs in progress in this process'),
  sealdex_content_in_flight_bytes: row('gauge', 'Bytes of SEALDEX_IN_FLIGHT_BYTES in use'),
  sealdex_kms_calls_total: row(
    'counter',
    'KMS calls, by operation and result (ok or an error code)',
    'operation',
    'result',
  ),
  sealdex_audit_write_failures: row(
    'gauge',
    'Audit lines that running processes failed to write, by role (worker, producer, reader) (fleet)',
    'role',
  ),
  sealdex_keys_in_memory: row('gauge', 'Plaintext data keys held in memory'),
  sealdex_oldest_key_age_seconds: row('gauge', 'Age of the oldest plaintext data key in memory'),
  sealdex_key_unverified_seconds: row(
    'gauge',
    'Time since KMS last accepted the least recently verified key in use, by role (worker, producer, reader); the upper bound on how late a revocation is noticed (fleet)',
    'role',
  ),
  sealdex_key_uses_total: row(
    'counter',
    'Data key lookups, by result (hit: cached; miss: fetched; shared: joined a fetch in progress)',
    'result',
  ),
  sealdex_key_wipes_total: row(
    'counter',
    'Data keys erased from memory, by reason (expired, unusable, shut, lost, closed; room: evicted for capacity)',
    'reason',
  ),
  sealdex_probes_total: row('counter', 'Probes of unusable KMS keys, by result (ok or an error code)', 'result'),
  sealdex_reencrypted_objects_total: row(
    'counter',
    'Objects visited by re-encryption, by result (moved, current, changed, unreadable)',
    'result',
  ),
  sealdex_swept_objects_total: row('counter', 'Objects deleted by sweeps, by type (intake, tombstone)', 'type'),
  sealdex_sweep_alarms_total: row(
    'counter',
    'Sweeps that found more than the safety limit, or that jobs may have been lost',
  ),
  sealdex_queue_jobs: row(
    'gauge',
    'Jobs in the queues, by queue (index, upload) and state (waiting, active, delayed, dead; delayed includes parked) (fleet)',
    'queue',
    'state',
  ),
  sealdex_parked_jobs: row('gauge', 'Parked jobs (fleet)'),
  sealdex_oldest_parked_age_seconds: row('gauge', 'Time the oldest parked job has been parked (fleet)'),
  sealdex_gates_shut: row('gauge', 'Shut gates, by code (fleet)', 'code'),
  sealdex_dead_letters: row('gauge', 'Dead letters currently kept, by code (fleet)', 'code'),
  sealdex_platform_key_jobs: row(
    'gauge',
    "Jobs whose content is encrypted under the platform key instead of the tenant's own (fleet)",
  ),
  sealdex_platform_key_bytes: row(
    'gauge',
    "Bytes of content that is encrypted under the platform key instead of the tenant's own (fleet)",
  ),
  sealdex_redis_memory_ratio: row('gauge', 'Fraction of Redis maxmemory in use; 0 if no limit is set'),
  sealdex_event_loop_delay_seconds: row('gauge', 'Event loop delay since the last scrape, by quantile', 'quantile'),
  sealdex_build_info: row('gauge', 'Always 1; the label is the version of sealdex', 'version'),
  sealdex_ready: row('gauge', '1 if /readyz returns 200, otherwise 0'),
});

export type MetricName = keyof typeof METRICS;

type Labels = Readonly<Record<string, string>>;

interface Values {
  readonly [label: string]: number | Values;
}

export interface Metrics {
  /** Adds `by`, 1 by default. */
  count(name: MetricName, labels: Labels, by?: number): void;
  observe(name: MetricName, labels: Labels, seconds: number): void;
  /** `read` is called at every scrape. @throws SealdexError `CONFIG_INVALID` if the registry has the gauge of another worker */
  gauge(name: MetricName, read: () => number | Promise<number>): void;
  /** Values by the metric's label; with two labels, nested: by the first, then by the second. @throws as gauge */
  gauges(name: MetricName, read: () => Values | Promise<Values>): void;
  /** Sums of the counter by the given label. */
  by(name: MetricName, label: string): Promise<Record<string, number>>;
  text(): Promise<string>;
  readonly contentType: string;
  /** Removes the gauges from the registry; counters and histograms stay, since their values cover the whole process. */
  close(): void;
}

/** A prom-client registry, for either format. */
export type MetricsRegistry = Registry | Registry<OpenMetricsContentType>;

function* flat(
  [label = '', ...more]: readonly string[],
  values: Values,
  outer: Labels = {},
): Generator<[Labels, number]> {
  for (const [name, value] of Object.entries(values)) {
    const labels = { ...outer, [label]: name };
    if (typeof value === 'number') yield [labels, value];
    else yield* flat(more, value, labels);
  }
}

const REGISTRY_IN_USE =
  'The metrics registry already has the metrics of a running worker. Pass a registry of its own to each worker.';

const PHASE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/**
 * Uses the registry of the host application, if given. An operator and a worker may share it: their counters and histograms are
 * the same metrics.
 */
export function createMetrics(hostRegistry?: MetricsRegistry): Metrics {
  // Metrics are independent of the format of the registry.
  const registry = (hostRegistry ?? new Registry()) as Registry;
  const shared = <T extends Metric>(name: string, create: () => T): T =>
    (registry.getSingleMetric(name) as T | undefined) ?? create();
  const counters = new Map<string, Counter>();
  const histograms = new Map<string, Histogram>();
  for (const [name, { type, help, labels }] of Object.entries(METRICS)) {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === 'counter')
      counters.set(
        name,
        shared(name, () => new Counter(options)),
      );
    if (type === 'histogram')
      histograms.set(
        name,
        shared(name, () => new Histogram({ ...options, buckets: PHASE_BUCKETS })),
      );
  }
  const ownGauges: MetricName[] = [];
  const register = (name: MetricName, gauge: Gauge): void => {
    if (registry.getSingleMetric(name)) throw new SealdexError('CONFIG_INVALID', REGISTRY_IN_USE);
    registry.registerMetric(gauge);
    ownGauges.push(name);
  };
  // The host application decides if its registry includes the process metrics.
  let withDefaults = hostRegistry !== undefined;
  const valuesOf = async (name: MetricName) => (await counters.get(name)!.get()).values;
  return {
    count: (name, labels, by = 1) => counters.get(name)!.inc(labels, by),
    observe: (name, labels, seconds) => histograms.get(name)!.observe(labels, seconds),
    gauge(name, read) {
      const gauge = new Gauge({
        name,
        help: METRICS[name].help,
        registers: [],
        async collect() {
          this.set(await read());
        },
      });
      register(name, gauge);
    },
    gauges(name, read) {
      const gauge = new Gauge({
        name,
        help: METRICS[name].help,
        labelNames: [...METRICS[name].labels],
        registers: [],
        async collect() {
          this.reset();
          for (const [labels, value] of flat(METRICS[name].labels, await read())) this.set(labels, value);
        },
      });
      register(name, gauge);
    },
    async by(name, label) {
      const sums: Record<string, number> = {};
      for (const { labels, value } of await valuesOf(name)) {
        const key = String(labels[label]);
        sums[key] = (sums[key] ?? 0) + value;
      }
      return sums;
    },
    text() {
      // Process metrics need timers and observers, so they only start with the first scrape.
      if (!withDefaults) collectDefaultMetrics({ register: registry });
      withDefaults = true;
      return registry.metrics();
    },
    contentType: registry.contentType,
    close() {
      for (const name of ownGauges.splice(0)) registry.removeSingleMetric(name);
    },
  };
}

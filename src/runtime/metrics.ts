// All metrics, in one table, and the registry of a process. No tenant, document or key is ever a label.
// Knows nothing of where the numbers come from.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

interface Row {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

const row = (type: Row['type'], help: string, ...labels: string[]): Row => Object.freeze({ type, help, labels });

/** The metrics list. The list in docs/metrics.md is compared with it by a test. */
export const METRICS = Object.freeze({
  sealdex_jobs_total: row(
    'counter',
    'jobs by kind and outcome (done, superseded, park, retry, defer, pause, dead)',
    'kind',
    'outcome',
  ),
  sealdex_faults_total: row(
    'counter',
    'failures of jobs, by code and reason; a deferred job has none',
    'code',
    'reason',
  ),
  sealdex_jobs_deferred_total: row(
    'counter',
    'jobs put back without a failure, by code: other jobs go first, or the job is not due',
    'code',
  ),
  sealdex_dead_letters_total: row('counter', 'jobs that became dead letters, by code', 'code'),
  sealdex_letters_expired_total: row('counter', 'dead letters that were discarded for SEALDEX_LETTER_MAX_MS'),
  sealdex_job_phase_seconds: row(
    'histogram',
    'time of a job by phase (tenant, content, open, parse, extract, record, encrypt, store)',
    'kind',
    'phase',
  ),
  sealdex_jobs_active: row('gauge', 'jobs in work in this process'),
  sealdex_content_in_flight_bytes: row('gauge', 'bytes that content in work takes of SEALDEX_IN_FLIGHT_BYTES'),
  sealdex_kms_calls_total: row('counter', 'KMS calls by operation and result (ok or a code)', 'operation', 'result'),
  sealdex_audit_failures: row(
    'gauge',
    'lines that the audit log of a living process could not take, by role (worker, producer, reader); the same in every process',
    'role',
  ),
  sealdex_keys_in_memory: row('gauge', 'plaintext data keys in memory'),
  sealdex_oldest_key_age_seconds: row('gauge', 'age of the oldest plaintext data key'),
  sealdex_key_unasked_seconds: row(
    'gauge',
    'how long ago KMS last said yes, of the KMS key in use of which that is longest ago, by role (worker, producer, reader): what a revocation takes to be seen in writing and in reading; the same in every process',
    'role',
  ),
  sealdex_key_uses_total: row(
    'counter',
    'uses of data keys by result (hit: in memory; miss: asked for; shared: asked for by another use already)',
    'result',
  ),
  sealdex_key_wipes_total: row(
    'counter',
    'data keys wiped, by reason (expired, unusable, shut, room, lost, closed)',
    'reason',
  ),
  sealdex_probes_total: row('counter', 'tries of KMS keys whose gates are shut, by result (ok or a code)', 'result'),
  sealdex_reencrypted_objects_total: row(
    'counter',
    'objects that re-encryption met, by what became of them (moved, current, changed, unreadable)',
    'result',
  ),
  sealdex_swept_total: row('counter', 'objects that a sweep has removed (intake, tombstone)', 'what'),
  sealdex_sweep_alarms_total: row('counter', 'sweeps that stopped before they took too much'),
  sealdex_queue_jobs: row(
    'gauge',
    'jobs by queue (index, upload) and state (waiting, active, delayed with the parked ones, dead); the same in every process',
    'queue',
    'state',
  ),
  sealdex_parked_jobs: row('gauge', 'parked jobs; the same in every process'),
  sealdex_oldest_parked_age_seconds: row(
    'gauge',
    'how long the oldest parked job is parked; the same in every process',
  ),
  sealdex_gates_shut: row('gauge', 'gates that are shut, by code; the same in every process', 'code'),
  sealdex_dead_letters: row('gauge', 'dead letters that are kept, by code; the same in every process', 'code'),
  sealdex_redis_memory_ratio: row('gauge', "used part of Redis' memory; 0 without a limit"),
  sealdex_event_loop_delay_seconds: row('gauge', 'delay of the event loop since the last scrape', 'quantile'),
  sealdex_ready: row('gauge', '1 when /readyz answers 200'),
});

export type MetricName = keyof typeof METRICS;

type Labels = Readonly<Record<string, string>>;

interface Values {
  readonly [label: string]: number | Values;
}

export interface Metrics {
  /** By one, or by as much as said. */
  count(name: MetricName, labels: Labels, by?: number): void;
  observe(name: MetricName, labels: Labels, seconds: number): void;
  /** Asked at every scrape. */
  gauge(name: MetricName, read: () => number | Promise<number>): void;
  /** The same with a value for each value of the metric's label; of two labels, by the first and then by the second. */
  gauges(name: MetricName, read: () => Values | Promise<Values>): void;
  /** The counter's values by the given label. */
  by(name: MetricName, label: string): Promise<Record<string, number>>;
  text(): Promise<string>;
  readonly contentType: string;
}

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

const PHASE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  const histograms = new Map<string, Histogram>();
  for (const [name, { type, help, labels }] of Object.entries(METRICS)) {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === 'counter') counters.set(name, new Counter(options));
    if (type === 'histogram') histograms.set(name, new Histogram({ ...options, buckets: PHASE_BUCKETS }));
  }
  let withDefaults = false;
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
      registry.registerMetric(gauge);
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
      registry.registerMetric(gauge);
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
      // Process figures cost timers and observers: only who is scraped pays for them.
      if (!withDefaults) collectDefaultMetrics({ register: registry });
      withDefaults = true;
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}

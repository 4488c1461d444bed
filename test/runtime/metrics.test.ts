// The metrics of a process: one table, no tenant in any label, and correct sums.
import { describe, expect, it } from 'vitest';
import { Registry, type OpenMetricsContentType } from 'prom-client';
import { createMetrics, METRICS, type MetricName } from '../../src/runtime/metrics.ts';

const rows = Object.entries(METRICS);

describe('the table of metrics', () => {
  it('has no label that names a tenant, a document, a job or a key', () => {
    const allowed = new Set([
      'kind',
      'outcome',
      'code',
      'reason',
      'type',
      'phase',
      'operation',
      'result',
      'queue',
      'state',
      'quantile',
      'role',
      'version',
    ]);
    expect(rows.flatMap(([, { labels }]) => labels).filter((label) => !allowed.has(label))).toEqual([]);
  });

  it('names every metric as Prometheus requires: prefix, unit, total', () => {
    for (const [name, { type, help }] of rows) {
      expect(name).toMatch(/^sealdex_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      expect(type !== 'histogram' || name.endsWith('_seconds')).toBe(true);
      expect(help).not.toBe('');
    }
  });
});

describe('the metrics of a process', () => {
  it('are scraped as text, with all of the table and those of the process', async () => {
    const metrics = createMetrics();
    for (const [name, { type }] of rows) if (type === 'gauge') metrics.gauge(name as MetricName, () => 7);
    metrics.count('sealdex_jobs_total', { kind: 'index', outcome: 'done' });
    metrics.observe('sealdex_job_phase_seconds', { kind: 'index', phase: 'store' }, 0.02);
    const text = await metrics.text();
    for (const [name] of rows) expect(text).toContain(`# HELP ${name} `);
    expect(text).toContain('sealdex_jobs_total{kind="index",outcome="done"} 1');
    expect(text).toContain('sealdex_job_phase_seconds_bucket{le="0.025",kind="index",phase="store"} 1');
    expect(text).toContain('sealdex_keys_in_memory 7');
    expect(text).toContain('process_resident_memory_bytes');
    expect(await metrics.text()).toContain('sealdex_keys_in_memory 7');
    expect(metrics.contentType).toContain('text/plain');
  });

  it('read gauges at every scrape', async () => {
    const metrics = createMetrics();
    let active = 1;
    metrics.gauge('sealdex_jobs_active', () => active);
    expect(await metrics.text()).toContain('sealdex_jobs_active 1');
    active = 2;
    expect(await metrics.text()).toContain('sealdex_jobs_active 2');
    metrics.gauge('sealdex_ready', async () => 1);
    expect(await metrics.text()).toContain('sealdex_ready 1');
  });

  it('can be summed by a label', async () => {
    const metrics = createMetrics();
    expect(await metrics.by('sealdex_kms_calls_total', 'operation')).toEqual({});
    for (const [operation, result] of [
      ['Decrypt', 'ok'],
      ['Decrypt', 'KMS_FAILED'],
      ['GenerateDataKey', 'ok'],
    ] as const)
      metrics.count('sealdex_kms_calls_total', { operation, result });
    expect(await metrics.by('sealdex_kms_calls_total', 'operation')).toEqual({ Decrypt: 2, GenerateDataKey: 1 });
  });

  it('are separate from those of another process', async () => {
    const [one, other] = [createMetrics(), createMetrics()];
    one.count('sealdex_jobs_total', { kind: 'index', outcome: 'done' });
    expect(await other.by('sealdex_jobs_total', 'kind')).toEqual({});
  });

  it('are the same for an operator and a worker in one registry', async () => {
    const registry = new Registry();
    const [operator, worker] = [createMetrics(registry), createMetrics(registry)];
    operator.count('sealdex_kms_calls_total', { operation: 'Decrypt', result: 'ok' });
    worker.count('sealdex_kms_calls_total', { operation: 'Decrypt', result: 'ok' });
    worker.observe('sealdex_job_phase_seconds', { kind: 'index', phase: 'store' }, 0.02);
    expect(await registry.metrics()).toContain('sealdex_kms_calls_total{operation="Decrypt",result="ok"} 2');
    expect(await operator.text()).toBe(await registry.metrics());
  });

  it('fit an OpenMetrics registry', async () => {
    const registry = new Registry<OpenMetricsContentType>();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    const metrics = createMetrics(registry);
    metrics.count('sealdex_dead_letters_total', { code: 'INTERNAL' });
    expect(await metrics.text()).toContain('sealdex_dead_letters_total{code="INTERNAL"} 1');
    expect(metrics.contentType).toContain('openmetrics');
  });

  it('leave the gauges of another worker in the registry when they close', async () => {
    const registry = new Registry();
    const [first, second] = [createMetrics(registry), createMetrics(registry)];
    first.gauge('sealdex_jobs_active', () => 1);
    expect(() => second.gauge('sealdex_jobs_active', () => 2)).toThrow('a registry of its own to each worker');
    second.close();
    expect(await registry.metrics()).toContain('sealdex_jobs_active 1');
    first.close();
    expect(await registry.metrics()).not.toContain('sealdex_jobs_active');
  });

  it('accept only labels of the table', () => {
    const metrics = createMetrics();
    expect(() => metrics.count('sealdex_jobs_total', { tenant: 'acme' })).toThrow('label');
    expect(() => metrics.observe('sealdex_job_phase_seconds', { tenant: 'acme' }, 1)).toThrow('label');
  });
});

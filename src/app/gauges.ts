// Gauges of a worker: the source of each value.
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { Heartbeat } from '../maintenance/heartbeat.ts';
import type { WorkerReadiness } from './health.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { QueueDepths } from '../maintenance/queue-depths.ts';
import type { KeyAccess } from './key-access.ts';
import { VERSION } from '../runtime/version.ts';

/** Values that one process has counted for all. */
export function depthGauges(metrics: Metrics, read: () => Promise<QueueDepths>): void {
  metrics.gauges('sealdex_queue_jobs', async () => (await read()).jobs);
  metrics.gauge('sealdex_parked_jobs', async () => (await read()).parked);
  metrics.gauge('sealdex_oldest_parked_age_seconds', async () => (await read()).oldestParkedSeconds);
  metrics.gauges('sealdex_gates_shut', async () => (await read()).gatesShut);
  metrics.gauges('sealdex_dead_letters', async () => (await read()).deadByCode);
  metrics.gauge('sealdex_platform_key_jobs', async () => (await read()).platformKeyJobs);
  metrics.gauge('sealdex_platform_key_bytes', async () => (await read()).platformKeyBytes);
  metrics.gauge('sealdex_redis_memory_ratio', async () => (await read()).redisMemoryRatio);
}

/** Median and 99th percentile since the last scrape. Returns a function that ends the measurement. */
export function eventLoopGauges(metrics: Metrics): () => void {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  metrics.gauges('sealdex_event_loop_delay_seconds', () => {
    const [p50, p99] = [50, 99].map((percentile) => delay.percentile(percentile) / 1e9);
    delay.reset();
    return { '0.5': p50 ?? 0, '0.99': p99 ?? 0 };
  });
  return () => void delay.disable();
}

/** Sums by role, over the running processes. */
function auditFailuresByRole(heartbeats: readonly Heartbeat[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { role, auditFailures } of heartbeats) sums[role] = (sums[role] ?? 0) + auditFailures;
  return sums;
}

/** Maximum by role, in seconds: each process has its own data keys. */
function unverifiedByRole(heartbeats: readonly Heartbeat[], ofThisWorker: number): Record<string, number> {
  const longest: Record<string, number> = { worker: ofThisWorker / 1000 };
  for (const { role, lastVerifiedAgeMs } of heartbeats)
    longest[role] = Math.max(longest[role] ?? 0, lastVerifiedAgeMs / 1000);
  return longest;
}

/** Returns a function: the share of the time since its last call in which the event loop was busy, 0 to 1. */
export function busyShare(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}

export function gauges(
  metrics: Metrics,
  { ring, revocationCheck }: KeyAccess,
  heartbeats: () => Promise<readonly Heartbeat[]>,
  inFlightBytes: () => number,
  readiness: WorkerReadiness,
): void {
  metrics.gauge('sealdex_keys_in_memory', () => ring.stats().keys);
  metrics.gauge('sealdex_oldest_key_age_seconds', () => ring.stats().oldestMs / 1000);
  metrics.gauges('sealdex_key_unverified_seconds', async () =>
    // Without Redis, reports this process only.
    unverifiedByRole(await heartbeats().catch(() => []), revocationCheck.lastVerifiedAgeMs()),
  );
  metrics.gauges('sealdex_audit_write_failures', async () => auditFailuresByRole(await heartbeats().catch(() => [])));
  metrics.gauge('sealdex_content_in_flight_bytes', inFlightBytes);
  metrics.gauges('sealdex_build_info', () => ({ [VERSION]: 1 }));
  metrics.gauge('sealdex_ready', async () => ((await readiness.check()).isReady ? 1 : 0));
}

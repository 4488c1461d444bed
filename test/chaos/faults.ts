// Faults of a chaos run: each begins, lasts for its time, and ends.
import { KMS_ERRORS, S3_ERRORS, type KmsFault, type S3Fault, type S3Match } from '@sealdex/local-aws';
import type { Fault, FaultName } from './schedule.ts';
import type { Fleet } from './fleet.ts';
import type { ChaosServices } from './services.ts';

/** Ends a fault. */
type End = () => Promise<void> | void;

interface Target {
  readonly services: ChaosServices;
  readonly fleet: Fleet;
  readonly worker: number;
  /** ARN of the KMS key of the tenant. */
  readonly key: string;
}

type Begin = (target: Target) => Promise<End> | End;

const onWorker =
  (signal: NodeJS.Signals, endSignal?: NodeJS.Signals): Begin =>
  ({ fleet, worker }) => {
    fleet.signal(worker, signal);
    return () => (endSignal ? fleet.signal(worker, endSignal) : undefined);
  };

const redisConfig =
  (name: string, value: string, normal: string): Begin =>
  async ({ services: { redis } }) => {
    await redis.config('SET', name, value);
    return async () => void (await redis.config('SET', name, normal));
  };

const onS3 =
  (match: S3Match, fault: S3Fault): Begin =>
  ({ services: { aws } }) => {
    const set = aws.s3.faults.set({ match, fault });
    return () => set.clear();
  };

const onKms =
  (fault: KmsFault, isOfTenant = false): Begin =>
  ({ services: { aws }, key }) => {
    const set = aws.kms.faults.set({ match: isOfTenant ? { key } : {}, fault });
    return () => set.clear();
  };

const keyOff =
  (isPlatformKey: boolean): Begin =>
  ({ services: { aws, platformKey }, key }) => {
    const off = isPlatformKey ? platformKey : key;
    aws.kms.disable(off);
    return () => aws.kms.enable(off);
  };

const BEGIN: Readonly<Record<FaultName, Begin>> = {
  'worker-kill': onWorker('SIGKILL'),
  'worker-stop': onWorker('SIGTERM'),
  'worker-freeze': onWorker('SIGSTOP', 'SIGCONT'),
  'redis-kill': ({ services }) => {
    process.kill(services.redisPid(), 'SIGKILL');
    return () => services.startRedisAgain();
  },
  'redis-freeze': ({ services }) => {
    const pid = services.redisPid();
    process.kill(pid, 'SIGSTOP');
    return () => void process.kill(pid, 'SIGCONT');
  },
  'redis-full': redisConfig('maxmemory', '1mb', '0'),
  'redis-read-only': redisConfig('min-replicas-to-write', '1', '0'),
  's3-error': onS3({}, S3_ERRORS.internal),
  's3-hang': onS3({}, { kind: 'hang' }),
  's3-lost-response': onS3({ method: 'PUT' }, { kind: 'lostResponse' }),
  's3-conflict': onS3({ method: 'PUT' }, S3_ERRORS.conflict),
  's3-failing-deletes': onS3({ method: 'DELETE' }, S3_ERRORS.internal),
  'kms-key-off': keyOff(false),
  'kms-platform-key-off': keyOff(true),
  'kms-flapping': onKms({ kind: 'flapping', fault: KMS_ERRORS.accessDenied }, true),
  'kms-throttled': onKms(KMS_ERRORS.throttled),
  'kms-hang': onKms({ kind: 'hang' }),
};

/** Begins the fault. Returns a function that ends it. */
export async function beginFault(services: ChaosServices, fleet: Fleet, fault: Fault): Promise<End> {
  const key = services.keys.get(fault.tenant) ?? services.platformKey;
  return BEGIN[fault.fault]({ services, fleet, worker: fault.worker, key });
}

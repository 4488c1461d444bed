// Hearing of changed tenants: a channel in Redis, and whether anything said there would be heard.
// What is forgotten then is not known here.
import { withDeadline, type Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import { runCommand, type Redis } from '../runtime/redis.ts';

const SUBSCRIBE_MS = 10_000;

export interface Listening {
  /** Whether a change would be heard now; while not, nothing may be kept. */
  isOn(): boolean;
  stop(): void;
}

/** Hears of changed tenants. What was published while the connection was away is not delivered later: all is forgotten then. */
export async function listen(
  subscriber: Redis,
  channel: string,
  clock: Clock,
  forget: (tenant: string) => void,
  forgetAll: () => void,
): Promise<Listening> {
  let isOn = false;
  let connection = 0;
  const onMessage = (from: string, tenant: string): void => {
    if (from === channel) forget(tenant);
  };
  const onClose = (): void => {
    connection += 1;
    isOn = false;
    forgetAll();
  };
  const subscribe = async (): Promise<void> => {
    const mine = connection;
    await runCommand(subscriber.subscribe(channel));
    // From the answer on, not from the connection on: in between, a change would not be heard.
    if (mine !== connection) return;
    isOn = true;
    forgetAll();
  };
  // A subscription that fails here ended with its connection: the next one tries again.
  const onReady = (): void => void subscribe().catch(() => {});
  const stop = (): void => {
    subscriber.off('message', onMessage).off('close', onClose).off('ready', onReady);
    onClose();
  };
  subscriber.on('message', onMessage).on('close', onClose).on('ready', onReady);
  const late = (): Error => new SealdexError('REDIS_FAILED', undefined, { reason: 'TimeoutError' });
  try {
    await withDeadline(clock, SUBSCRIBE_MS, subscribe(), late);
  } catch (error) {
    stop();
    throw error;
  }
  return { isOn: () => isOn, stop };
}

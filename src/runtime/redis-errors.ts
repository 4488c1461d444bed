// Redis errors: the reason of each (the first word of the reply), its description and its remedy.
import { SealdexError } from './errors.ts';

interface ReplyRow {
  readonly description: string;
  readonly remedy: string;
}

const row = (description: string, remedy: string): ReplyRow => Object.freeze({ description, remedy });

/** Replies with a message of their own. A test compares the table in docs/errors.md with it. */
export const REDIS_REPLIES: Readonly<Record<string, ReplyRow>> = Object.freeze({
  WRONGPASS: row('Redis rejected the user name or the password', 'Correct them in REDIS_URL.'),
  NOAUTH: row('Redis requires a password', 'Add it to REDIS_URL: redis://:PASSWORD@HOST:PORT.'),
  NOPERM: row('The Redis user may not run a command or use a key', 'Extend the ACL of the user in REDIS_URL.'),
  MOVED: row('REDIS_URL names a node of a Redis Cluster', 'Use a Redis that is not in cluster mode.'),
  CLUSTERDOWN: row('The Redis Cluster has slots without a primary', 'Restore the missing nodes of the cluster.'),
  READONLY: row(
    'A replica replied: a failover is in progress, or REDIS_URL names a replica',
    'No action needed during a failover; if it persists, set REDIS_URL to the primary.',
  ),
  OOM: row('Redis has reached its maxmemory', 'Raise maxmemory, or add workers to drain the queue.'),
  LOADING: row(
    'Redis is loading its data',
    'No action needed, sealdex retries. Run a command again when Redis has started.',
  ),
  MISCONF: row('Redis cannot save its data to disk and rejects writes', 'Check the disk and the log of Redis.'),
  NOREPLICAS: row(
    'Redis has too few replicas and rejects writes',
    'Restore the replicas, or lower min-replicas-to-write.',
  ),
  BUSY: row('Redis is busy with a script', 'Try again; if it persists, end the script with SCRIPT KILL.'),
});

/** Reason of client errors without a reply: there is no connection, or it was lost. */
const DISCONNECTED = 'Disconnected';

const CLIENT_ERRORS = [
  'Connection is closed.',
  "Stream isn't writeable",
  'Too many Cluster redirections',
  'Reached the max retries per request limit',
];

/** Returns true if the error is a reply of Redis. */
export const isReply = (error: unknown): error is Error & { readonly name: 'ReplyError' } =>
  error instanceof Error && error.name === 'ReplyError';

/**
 * Returns the first word of a reply, the network's error code (`ECONNREFUSED`), `TimeoutError`, `Disconnected`, or the error's
 * name.
 */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  if (isReply(error)) return /^-?([A-Z]+)\b/.exec(error.message)?.[1] ?? error.name;
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === 'string' && /^E[A-Z_]+$/.test(code)) return code;
  if (error.message === 'Command timed out') return 'TimeoutError';
  return CLIENT_ERRORS.some((text) => error.message.startsWith(text)) ? DISCONNECTED : error.name;
}

/** Returns the reply of Redis: the error itself, or the one that kept the client from connecting. */
function replyOf(error: unknown): Error | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return isReply(error) ? error : isReply(cause) ? cause : undefined;
}

/** Converts an error to `REDIS_FAILED`, with the message of the reply if it has one. */
export function redisFault(error: unknown): SealdexError {
  if (error instanceof SealdexError) return error;
  const reply = replyOf(error);
  const reason = reasonOf(reply ?? error);
  const row = reply && Object.hasOwn(REDIS_REPLIES, reason) ? REDIS_REPLIES[reason] : undefined;
  return new SealdexError('REDIS_FAILED', row && `${row.description}. ${row.remedy}`, { cause: error, reason });
}

/** Returns true if Redis replied with an error. Without a reply, the command may or may not have taken effect. */
export const isReplyError = (error: unknown): boolean =>
  error instanceof SealdexError && error.code === 'REDIS_FAILED' && isReply(error.cause);

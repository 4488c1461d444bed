// Tenant stops: the pause, blocked keys and deletion of a tenant, as text.
import type { TenantFile } from '../app/app.ts';
import { oneLine, time } from './terminal.ts';

export interface StopWords {
  readonly since: (at: number) => string;
  readonly key: (arn: string) => string;
}

export const IN_FULL: StopWords = { since: (at) => `since ${time(at)}`, key: String };

/** Empty, if nothing is stopped. */
export function stopsOf({ paused, blockedKeys, deleted }: TenantFile, { since, key }: StopWords): string {
  const words = [
    ...(deleted ? [`deleted ${since(deleted.at)}`] : []),
    ...(paused ? [`paused ${since(paused.since)}: ${paused.reason}`] : []),
    ...blockedKeys.map((blocked) => `key ${key(blocked.arn)} blocked ${since(blocked.since)}: ${blocked.reason}`),
  ];
  return oneLine(words.join('; '));
}

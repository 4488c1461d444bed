// S3 calls: parses method, path and query of a request, and counts requests.
import { SUBRESOURCES } from './bucket-settings.ts';
import type { S3Call, S3Kind, S3Match } from './fault-injection.ts';

export interface S3Requests {
  /** Number of matching requests since the start or the last reset. */
  count(match?: S3Match): number;
  /** All counts by `METHOD kind`, for example `PUT object`. */
  all(): Record<string, number>;
  reset(): void;
}

export function callOf(method: string, url: string): S3Call {
  const [path = '', query = ''] = url.split('?', 2);
  const searchParams = new URLSearchParams(query);
  const [, bucket = '', ...rest] = path.split('/').map(decodeURIComponent);
  const key = rest.join('/');
  const kind = kindOf(method, key, searchParams);
  if (kind === 'setting')
    return { method, bucket, key: SUBRESOURCES.find((name) => searchParams.has(name)) ?? '', kind };
  return {
    method,
    bucket,
    key: key === '' ? (searchParams.get('prefix') ?? '') : key,
    kind,
    ...(kind === 'object' && searchParams.has('versionId') ? { isOfVersion: true } : {}),
  };
}

const listingOf = (query: URLSearchParams): S3Kind =>
  query.has('versions') ? 'versions' : query.has('uploads') ? 'uploads' : 'list';

function kindOf(method: string, key: string, query: URLSearchParams): S3Kind {
  if (key === '' && method === 'GET' && SUBRESOURCES.some((name) => query.has(name))) return 'setting';
  if (key === '') return method === 'GET' ? listingOf(query) : method === 'POST' ? 'batch' : 'bucket';
  if (method === 'PUT' && query.has('partNumber')) return 'part';
  return query.has('uploads') || query.has('uploadId') ? 'upload' : 'object';
}

/** Counts by method, kind and the key's first folder: the number of keys is unbounded, that of folders is small. */
export class S3Counter implements S3Requests {
  readonly #counts = new Map<string, { call: S3Call; count: number }>();

  add(call: S3Call): void {
    const folder = call.key.includes('/') ? call.key.slice(0, call.key.indexOf('/') + 1) : '';
    const name = `${call.method} ${call.kind} ${folder}`;
    const entry = this.#counts.get(name);
    if (entry) entry.count += 1;
    else this.#counts.set(name, { call: { ...call, key: folder }, count: 1 });
  }

  count(match: S3Match = {}): number {
    let sum = 0;
    for (const { call, count } of this.#counts.values()) {
      const matches =
        (match.method === undefined || match.method === call.method) &&
        (match.kind === undefined || match.kind === call.kind) &&
        (match.prefix === undefined || call.key === match.prefix);
      if (matches) sum += count;
    }
    return sum;
  }

  all(): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const { call, count } of this.#counts.values()) {
      const name = `${call.method} ${call.kind}`;
      sums[name] = (sums[name] ?? 0) + count;
    }
    return sums;
  }

  reset(): void {
    this.#counts.clear();
  }
}

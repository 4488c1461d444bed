// The local S3 over HTTP: lists, reads, writes and deletes objects. It checks no signatures.

export interface BucketObject {
  /** All response headers; user metadata is among them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Bucket {
  keys(prefix?: string): Promise<string[]>;
  /** Undefined if there is no such object. */
  get(key: string): Promise<BucketObject | undefined>;
  /** Of the headers, stores user metadata only. */
  put(key: string, body: Buffer, headers?: Readonly<Record<string, string>>): Promise<void>;
  remove(key: string): Promise<void>;
}

const CALL_MS = 60_000;

export function openBucket(endpoint: string, name: string, pageKeys = 1000): Bucket {
  const call = async (path: string, init: RequestInit = {}): Promise<BucketObject & { status: number }> => {
    const response = await fetch(`${endpoint}/${name}${path}`, { ...init, signal: AbortSignal.timeout(CALL_MS) });
    const { ok, status, headers } = response;
    if (!ok && status !== 404) throw new Error(`The local S3 responded with ${status}.`);
    return { status, headers: Object.fromEntries(headers), body: Buffer.from(await response.arrayBuffer()) };
  };
  const pathOf = (key: string): string => `/${key.split('/').map(encodeURIComponent).join('/')}`;
  return {
    async keys(prefix = '') {
      const keys: string[] = [];
      let token: string | undefined = '';
      while (token !== undefined) {
        const query = new URLSearchParams({ 'list-type': '2', 'max-keys': String(pageKeys), prefix });
        if (token !== '') query.set('continuation-token', token);
        const xml = (await call(`?${query.toString()}`)).body.toString();
        keys.push(...[...xml.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) => key));
        token = /<NextContinuationToken>([^<]*)</.exec(xml)?.[1];
      }
      return keys;
    },
    async get(key) {
      const { status, ...object } = await call(pathOf(key));
      return status === 404 ? undefined : object;
    },
    async put(key, body, headers = {}) {
      const metadata = Object.entries(headers).filter(([header]) => header.startsWith('x-amz-meta-'));
      await call(pathOf(key), { method: 'PUT', body: Uint8Array.from(body), headers: metadata });
    },
    async remove(key) {
      await call(pathOf(key), { method: 'DELETE' });
    },
  };
}

// A bucket of the embedded S3 over its HTTP API: list, get, put, delete. The emulator asks for no signature.
// Knows nothing of what the objects mean.

export interface BucketObject {
  /** All response headers, a line each: user metadata is among them. */
  readonly headers: string;
  readonly body: Buffer;
}

export interface Bucket {
  /** Keys in their order, page by page. */
  keys(signal: AbortSignal): AsyncGenerator<string>;
  /** undefined: there is none. */
  get(key: string, signal: AbortSignal): Promise<BucketObject | undefined>;
  put(key: string, body: Buffer, metadata: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>;
  /** Needs no signal: it cleans up when the work was given up. */
  remove(key: string): Promise<void>;
}

const CALL_MS = 10_000;
const PAGE_KEYS = 1000;

export function openBucket(endpoint: string, name: string, pageKeys: number = PAGE_KEYS): Bucket {
  const root = `${endpoint}/${name}`;
  const urlOf = (key: string): string => `${root}/${key.split('/').map(encodeURIComponent).join('/')}`;

  const call = async (url: string, init: RequestInit, signal?: AbortSignal): Promise<Response> => {
    const late = AbortSignal.timeout(CALL_MS);
    const response = await fetch(url, { ...init, signal: signal ? AbortSignal.any([signal, late]) : late });
    if (response.ok || response.status === 404) return response;
    throw new Error(`The embedded S3 answered ${init.method ?? 'GET'} with ${response.status}.`);
  };

  return {
    async *keys(signal) {
      let token: string | undefined;
      do {
        const from: string = token === undefined ? '' : `&continuation-token=${encodeURIComponent(token)}`;
        const xml = await (await call(`${root}?list-type=2&max-keys=${pageKeys}${from}`, {}, signal)).text();
        for (const [, key = ''] of xml.matchAll(/<Key>([^<]*)<\/Key>/g)) yield unescape(key);
        token = /<NextContinuationToken>([^<]*)</.exec(xml)?.[1];
      } while (token !== undefined);
    },
    async get(key, signal) {
      const response = await call(urlOf(key), {}, signal);
      const body = Buffer.from(await response.arrayBuffer());
      if (response.status === 404) return undefined;
      return { headers: [...response.headers].map((header) => header.join(': ')).join('\n'), body };
    },
    async put(key, body, metadata, signal) {
      const headers = Object.fromEntries(
        Object.entries(metadata).map(([each, value]) => [`x-amz-meta-${each}`, value]),
      );
      await (await call(urlOf(key), { method: 'PUT', body: Uint8Array.from(body), headers }, signal)).arrayBuffer();
    },
    async remove(key) {
      await (await call(urlOf(key), { method: 'DELETE' })).arrayBuffer();
    },
  };
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

const unescape = (text: string): string =>
  text.replaceAll(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? '');

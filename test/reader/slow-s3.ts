// A network between reader and S3 that delivers only the beginning of a document.
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';

export interface SlowS3 {
  readonly endpoint: string;
  /** Responses delayed so far. */
  readonly held: number;
  /** Resolves when no delayed response has a client. */
  allGone(): Promise<void>;
  stop(): Promise<void>;
}

/** Forwards requests, but only the first `bytes` of every document, and then nothing, with the connection open. */
export async function startSlowS3(endpoint: string, bytes: number): Promise<SlowS3> {
  const gone = new Set<Promise<void>>();
  let held = 0;
  const server: Server = createServer((request, response) => {
    const { hostname, port } = new URL(endpoint);
    const { url: path, method, headers } = request;
    const onward = httpRequest({ hostname, port, path, method, headers }, (answer: IncomingMessage) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      if (method !== 'GET' || path?.startsWith('/documents/', path.indexOf('/', 1)) !== true)
        return answer.pipe(response);
      held += 1;
      gone.add(new Promise((resolve) => response.once('close', resolve)));
      let given = 0;
      answer.on('data', (chunk: Buffer) => {
        if (given < bytes) response.write(chunk.subarray(0, bytes - given));
        given += chunk.length;
      });
      return undefined;
    });
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  return {
    endpoint: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    get held() {
      return held;
    },
    allGone: async () => void (await Promise.all(gone)),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

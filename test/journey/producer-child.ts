// A producer that is killed and started again: sends documents FROM..TO, each with its own idempotency key, and prints a
// line for each result. A restarted one sends all of them again, like a caller without the results.
import { createProducer, type Settings } from '../../src/app/app.ts';
import '../support/raised-deadlines.ts';

const [settings = '', from = '0', to = '0'] = process.argv.slice(2);
await using producer = await createProducer(JSON.parse(settings) as Settings);
for (let n = Number(from); n < Number(to); n++) {
  const { status, jobId, revision } = await producer.enqueueIndex({
    tenant: 'acme',
    corpus: 'docs',
    document: {
      type: 'core',
      id: `doc-${n}`,
      metadata: { n },
      document_parts: [{ text: `Text of ${n}. `.repeat(n + 1) }],
    },
    idempotencyKey: `key-${n}`,
  });
  console.log(JSON.stringify({ n, status, jobId, revision }));
}

// A producer in a child process that a test can kill: enqueues the requests in argv, prints the results.
import { createProducer, type Settings } from '../../src/app/app.ts';
import type { IndexRequest } from '../../src/producer/producer.ts';
import '../support/raised-deadlines.ts';

const [settings = '', request = ''] = process.argv.slice(2);
await using producer = await createProducer(JSON.parse(settings) as Settings);
console.log(JSON.stringify(await producer.enqueueIndex(JSON.parse(request) as IndexRequest)));

// A producer in a process of its own, so that a test can kill it in the middle: enqueues what argv says, prints the answer.
import { createProducer, type Settings } from '../../src/app/app.ts';
import type { IndexRequest } from '../../src/producer/producer.ts';
import '../support/raised-deadlines.ts';

const [settings = '', request = ''] = process.argv.slice(2);
await using producer = await createProducer(JSON.parse(settings) as Settings);
console.log(JSON.stringify(await producer.enqueueIndex(JSON.parse(request) as IndexRequest)));

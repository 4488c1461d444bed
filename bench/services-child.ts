// Services of a bench: Redis, S3 and KMS in their own process, so that their cost is not counted for the bench or a worker.
// Sends the parent their settings, and a new KMS key for every message. Ends with its parent.
// Argument: additional latency of every S3 response, in milliseconds.
import { startServices } from '../src/cli/dev/local-services.ts';

const services = await startServices();
const ms = Number(process.argv[2] ?? 0);
if (ms > 0) services.s3.faults.set({ match: {}, fault: { kind: 'latency', ms } });
process.on('message', () => process.send?.({ key: services.kms.createKey() }));
process.on('disconnect', () => void services.stop());
process.send?.({ settings: services.settings });

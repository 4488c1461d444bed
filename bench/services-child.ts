// Redis, S3 and KMS in a process of their own, so that what they cost is not taken for what the bench or a worker costs.
// Tells its parent the settings that point to them, and a new KMS key for every message; ends with its parent.
// Its argument: how many milliseconds S3 takes longer for every answer.
import { startServices } from '../src/cli/dev/local-services.ts';

const services = await startServices();
const ms = Number(process.argv[2] ?? 0);
if (ms > 0) services.s3.faults.set({ match: {}, fault: { kind: 'latency', ms } });
process.on('message', () => process.send?.({ key: services.kms.createKey() }));
process.on('disconnect', () => void services.stop());
process.send?.({ settings: services.settings });

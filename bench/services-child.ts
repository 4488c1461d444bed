// Redis, S3 and KMS in a process of their own, so that what they cost is not taken for what the bench or a worker costs.
// Tells its parent the settings that point to them, and a new KMS key for every message; ends with its parent.
import { startServices } from '../src/dev/embedded.ts';

const services = await startServices();
process.on('message', () => process.send?.({ key: services.kms.createKey() }));
process.on('disconnect', () => void services.stop());
process.send?.({ settings: services.settings });

/** Starts an engine, tells where it listens, and waits to be killed. */
import { startEngine } from '../../../scripts/rig/engine.ts';

const engine = await startEngine({ name: 'orphan' });
console.log(engine.host);
setInterval(() => engine.host, 60_000);

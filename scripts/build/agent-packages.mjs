/** What the agent's one file leaves out of its packages: most of their weight is for what the agent does not do. */
import { fileURLToPath } from 'node:url';

const local = (name) => fileURLToPath(new URL(name, import.meta.url));
const empty = local('../empty.cjs');

const replacements = [
  // dockerode's own session and its ssh transport are not used.
  { what: /^(ssh2|@grpc\/grpc-js|@grpc\/proto-loader|protobufjs)$/, by: { path: empty } },
  // It reads contexts by itself; ours come from the coordinator.
  { what: /^(tar-fs|@balena\/dockerignore)$/, from: /\/dockerode\//, by: { path: empty } },
  {
    what: /^\.\/(volume|network|service|plugin|secret|config|task|node|session|buildkit)$/,
    from: /\/dockerode\/lib\/docker\.js$/,
    by: { path: empty },
  },
  { what: /^debug$/, from: /\/docker-modem\//, by: { path: local('no-debug.cjs') } },
  // The agent dials, and serves nobody.
  { what: /^\.\/lib\/websocket-server(\.js)?$/, from: /\/ws\//, by: { path: empty } },
  // A copy of Node's own streams, for Nodes of long ago.
  { what: /^readable-stream$/, by: { path: 'node:stream', external: true } },
  // pino's for transports in other threads, and for several destinations.
  { what: /^\.\/(lib\/)?(transport|multistream)$/, from: /\/pino\//, by: { path: empty } },
];

export const agentPackages = {
  name: 'agent-packages',
  setup({ onResolve }) {
    for (const { what, from = /^/, by } of replacements) {
      onResolve({ filter: what }, ({ importer }) => (from.test(importer) ? by : undefined));
    }
  },
};

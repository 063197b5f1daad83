'use strict';
/** In the place of node:http2, which takes longer to load than the rest of undici and is never spoken to a registry. */
module.exports = { constants: {} };

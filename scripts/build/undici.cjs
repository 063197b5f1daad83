'use strict';
/** What of undici the registry client uses: the whole takes three times as long to load. */
const { setFlagsFromString } = require('node:v8');
const Agent = require('undici/lib/dispatcher/agent');
const dispatch = require('undici/lib/api/api-request');
const buildConnector = require('undici/lib/core/connect');

/**
 * Its parser of HTTP is WebAssembly, which V8 optimizes after a few answers: that takes more processor time than all else
 * that a command does, and keeps it from ending. The budget is about bytes executed, 1,800,000 if not given: a server
 * gets there all the same. V8 complains about flags that it does not know; those of Node 20 to 24 know this one.
 */
if (Number.parseInt(process.versions.v8, 10) < 14) setFlagsFromString('--wasm-tiering-budget=100000000');

/** As undici's own, for a URL and a dispatcher, both of which are always given. */
function request(url, { dispatcher, ...options }) {
  const { origin, pathname, search } = url;
  return dispatch.call(dispatcher, { ...options, origin, path: `${pathname}${search}` });
}

module.exports = { Agent, buildConnector, request };

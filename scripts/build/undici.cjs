'use strict';
/** What of undici the registry client uses: the whole takes three times as long to load. */
const Agent = require('undici/lib/dispatcher/agent');
const dispatch = require('undici/lib/api/api-request');
const buildConnector = require('undici/lib/core/connect');

/** As undici's own, for a URL and a dispatcher, both of which are always given. */
function request(url, { dispatcher, ...options }) {
  const { origin, pathname, search } = url;
  return dispatch.call(dispatcher, { ...options, origin, path: `${pathname}${search}` });
}

module.exports = { Agent, buildConnector, request };

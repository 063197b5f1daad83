/** The part of the HTTP API that shows the audit: its rows as they lie there, for whoever reads them to check. */
import type { FastifyInstance } from 'fastify';
import * as v from 'valibot';
import type { Audit } from '../trust/audit.ts';
import { about } from './guard.ts';
import { readRequest } from './read-request.ts';

const count = v.pipe(v.string(), v.toNumber(), v.integer(), v.minValue(0));
const auditQuery = v.object({
  after: v.optional(count, '0'),
  since: v.optional(count, '0'),
  limit: v.optional(v.pipe(v.string(), v.toNumber(), v.integer(), v.minValue(1), v.maxValue(1000)), '1000'),
});

export function addAuditRoutes(api: FastifyInstance, audit: Audit): void {
  api.get('/v1/audit', about('read-audit'), (request) => {
    const query = readRequest(auditQuery, request.query);
    return { rows: audit.rows(query), head: audit.head };
  });
}

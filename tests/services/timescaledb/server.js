// A TimescaleDB for one client at a time: PostgreSQL 17 with the extension, compiled to WebAssembly, in memory. It has no
// workers of its own: jobs run when somebody calls run_job. Started by tests/services/timescale.
import { PGlite } from '@electric-sql/pglite';
import { timescaledb } from '@electric-sql/pglite/timescaledb';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

class Server extends PGLiteSocketServer {
  // The one session outlives its clients, what they have prepared with it, and what they had begun.
  async attachSocketToNewHandler(socket, ...more) {
    await this.db.exec('ROLLBACK');
    await this.db.exec('DEALLOCATE ALL');
    return super.attachSocketToNewHandler(socket, ...more);
  }
}

const db = await PGlite.create({ extensions: { timescaledb } });
await db.exec('CREATE EXTENSION timescaledb');
const server = new Server({ db, host: '127.0.0.1', port: Number(process.argv[2]) });
await server.start();
console.log('ready');

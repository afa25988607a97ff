/*
 * The connections to one origin: a request takes the one that was used last among those that are free, or a new one. undici's Pool looks
 * for a free one from its first on, past all that are busy: with 500 calls under way that is a tenth of what a call costs. Here nothing
 * is looked for, and what is used last is what the processor still knows.
 */
import { Client, Dispatcher } from 'undici'

/** One request at a time. It is in the list of free ones, or busy, or over. */
interface Connection {
  readonly client: Client
  isFree: boolean
  /** It could not be made, or it has ended: none is made in its place, as it would be kept as long as the origin is. */
  isOver: boolean
}

export class Connections extends Dispatcher {
  private readonly origin: string
  private readonly options: Client.Options
  private readonly all = new Set<Connection>()
  private readonly free: Connection[] = []
  private isClosing = false

  /** @param options of each; what lets it take more than one request at a time is not among them */
  constructor(origin: string, options: Client.Options) {
    super()
    this.origin = origin
    this.options = options
  }

  /** @returns true: there is always another one */
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const connection = this.free.pop() ?? this.made()
    connection.isFree = false
    connection.client.dispatch(options, handler)
    // A request that cannot be written is refused at once, and then nothing is told of the connection.
    if (connection.client.stats.size === 0) this.freed(connection)
    return true
  }

  private made(): Connection {
    const client = new Client(this.origin, this.options)
    const connection: Connection = { client, isFree: false, isOver: false }
    this.all.add(connection)
    client.on('drain', () => this.freed(connection))
    client.on('disconnect', () => this.ended(connection))
    client.on('connectionError', () => this.ended(connection))
    return connection
  }

  private freed(connection: Connection): void {
    if (connection.isFree) return
    if (connection.isOver || this.isClosing) return this.leave(connection)
    connection.isFree = true
    this.free.push(connection)
  }

  private ended(connection: Connection): void {
    connection.isOver = true
    if (!connection.isFree) return
    this.free.splice(this.free.indexOf(connection), 1)
    this.leave(connection)
  }

  private leave(connection: Connection): void {
    this.all.delete(connection)
    connection.client.close().catch(() => undefined)
  }

  /** Those that are busy are closed when they are free; that is not waited for. */
  override async close(): Promise<void> {
    this.isClosing = true
    for (const connection of this.free.splice(0)) this.leave(connection)
  }

  /** Ends what is under way. */
  override async destroy(): Promise<void> {
    this.isClosing = true
    await Promise.all([...this.all].map(({ client }) => client.destroy()))
  }
}

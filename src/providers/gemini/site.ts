/** Where one and the same API is served differently. */
export interface Site {
  /** Whether calls and their results may carry ids; without them they belong together by their order. */
  readonly toolIds: boolean
  /** Whether it keeps files that clients have given to it. */
  readonly files: boolean
  /** Whether it reads cloud storage (gs://), and files at any address for every model. */
  readonly buckets: boolean
  /** Whether it has to be asked for Google's own tools beside functions; where it has not, it refuses the question. */
  readonly mixesOnRequest: boolean
  /** Whether a call may have labels, for bills. */
  readonly labels: boolean
  /** Where a service tier is asked for: in the body, or by headers. */
  readonly tier: 'body' | 'header'
}

export const STUDIO: Site = { toolIds: true, files: true, buckets: false, mixesOnRequest: true, labels: false, tier: 'body' }
export const CLOUD: Site = { toolIds: false, files: false, buckets: true, mixesOnRequest: false, labels: true, tier: 'header' }

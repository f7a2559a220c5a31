/** What somebody asked a session for: a key, a command, a line on the session's socket. */
export type Intent =
  | {
      readonly type: 'up'
      /** Empty: all services of the active profiles. */
      readonly services: readonly string[]
      readonly profiles: readonly string[]
      /** Build again also what is up to date. */
      readonly build: boolean
      readonly watch: boolean
      /** Use a free port where a wanted one is taken, and keep it. */
      readonly freePorts: boolean
      /** Carry out at once what a saved compose file, .env, Dockerfile or devstack.yaml asks for, instead of holding it. */
      readonly autoApply: boolean
    }
  /** Reads the project and what runs, where that has not been done. */
  | { readonly type: 'look' }
  /** Looks by stat at every watched file; done when what was found is in the containers and taken up, or has failed. */
  | { readonly type: 'recheck' }
  /** Ends an `up` that is under way and stops what it started. */
  | { readonly type: 'cancel' }
  | { readonly type: 'stop'; readonly services: readonly string[] }
  | { readonly type: 'start'; readonly services: readonly string[] }
  | { readonly type: 'restart'; readonly services: readonly string[] }
  | { readonly type: 'rebuild'; readonly services: readonly string[] }
  /** Lets go what waits for a decision. */
  | { readonly type: 'approve'; readonly hold: string }
  /** Removes containers and networks, with `volumes` the data too; the session ends. */
  | { readonly type: 'down'; readonly volumes: boolean }
  /** Stops the services, keeps volumes and containers, and ends the session. `force` kills instead. */
  | { readonly type: 'quit'; readonly force: boolean }
  /** Ends the session and leaves the containers running. */
  | { readonly type: 'leave' }

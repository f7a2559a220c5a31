import { watchRule } from '../core/builders.js'
import { createFakeEngine } from '../fakes/fake-engine.js'
import { describeEngine } from './describe-engine.js'

describeEngine('the fake', () => {
  const engine = createFakeEngine({
    name: 'contract',
    services: [
      { name: 'store', healthyAfter: 20 },
      {
        name: 'once',
        oneShot: true,
        dependsOn: [{ service: 'store', condition: 'service_healthy', required: true }],
        ends: { after: 10, exitCode: 0 },
      },
      {
        name: 'app',
        sources: { '/app/main.txt': 'first' },
        dependsOn: [
          { service: 'store', condition: 'service_healthy', required: true },
          { service: 'once', condition: 'service_completed_successfully', required: true },
        ],
        watch: [watchRule('sync', '/fake/app', '/app')],
      },
      { name: 'slow', sources: {}, buildTakes: 60_000 },
    ],
  })
  return Promise.resolve({
    engine,
    keepsStopped: true,
    reopen: () => engine.reopen(),
    readFile: (service: string, path: string) => Promise.resolve(engine.readFile(service, path)),
    crash: (service: string, exitCode: number) => {
      engine.print(service, 'last words')
      engine.crash(service, exitCode)
      return Promise.resolve()
    },
    things: () => Promise.resolve(engine.things()),
    building: () => Promise.resolve(engine.building()),
    dispose: () => Promise.resolve(),
  })
})

/** Loaded into a process whose CPU time nobody else tells: see cpu.ts. */
process.on('message', message => {
  if (message !== 'cpu') return
  const { user, system } = process.cpuUsage()
  process.send!({ cpuMicros: user + system })
})
// It does not keep the process alive.
process.channel?.unref()

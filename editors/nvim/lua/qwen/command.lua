--- `:Qwen`: the server's commands for a person.
local M = {}

---@param text string
local function say(text)
  vim.notify('qwen: ' .. text, vim.log.levels.INFO)
end

---@param text string
local function complain(text)
  vim.notify('qwen: ' .. text, vim.log.levels.ERROR)
end

--- Runs a command of the server of the current buffer.
---@param name string
---@param arguments any[]
---@param on_result fun(result: table)
local function execute(name, arguments, on_result)
  local buf = vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ name = 'qwen', bufnr = buf })[1]
  if not client then
    vim.notify('qwen: no server runs for this buffer; `:checkhealth qwen` says more', vim.log.levels.WARN)
    return
  end
  client:exec_cmd({ title = name, command = name, arguments = arguments }, { bufnr = buf }, function(err, result)
    if err then
      complain(err.message)
    else
      on_result(result)
    end
  end)
end

local function uri()
  return vim.uri_from_bufnr(0)
end

---@param result { text: string } What a command has done, or how it stands.
local function say_text(result)
  say(result.text)
end

---@type table<string, { run: fun(first?: string, second?: string), arguments?: string[] }>
local subcommands = {
  status = {
    run = function()
      execute('qwen.status', {}, say_text)
    end,
  },
  toggle = {
    arguments = { 'file', 'language' },
    run = function(what)
      if what == 'file' then
        execute('qwen.toggleFile', { uri() }, say_text)
      elseif what == 'language' then
        execute('qwen.toggleLanguage', { vim.bo.filetype }, say_text)
      elseif what then
        complain('`:Qwen toggle` takes file, language, or nothing')
      else
        execute('qwen.toggle', {}, say_text)
      end
    end,
  },
  pause = {
    run = function()
      execute('qwen.pause', {}, say_text)
    end,
  },
  resume = {
    run = function()
      execute('qwen.resume', {}, say_text)
    end,
  },
  snooze = {
    run = function(minutes)
      if minutes and not minutes:find('^%d*%.?%d+$') then
        complain('`:Qwen snooze` takes minutes, a number from above 0 to 1440, or nothing')
      else
        execute('qwen.snooze', { tonumber(minutes) }, say_text)
      end
    end,
  },
  why = {
    run = function()
      execute('qwen.why', { uri() }, say_text)
    end,
  },
  fix = {
    run = function()
      execute('qwen.status', {}, function(status)
        local command = status.command
        if command == nil or command == vim.NIL then
          say('there is nothing to fix: ' .. status.text)
        else
          execute(command.command, command.arguments, say_text)
        end
      end)
    end,
  },
  inspect = {
    run = function()
      execute('qwen.inspect', {}, function(inspected)
        vim.cmd.tabnew()
        vim.api.nvim_buf_set_lines(0, 0, -1, false, vim.split(inspected.text, '\n', { plain = true }))
        vim.bo.buftype, vim.bo.bufhidden, vim.bo.swapfile, vim.bo.modifiable = 'nofile', 'wipe', false, false
        pcall(vim.treesitter.start, 0, 'markdown')
      end)
    end,
  },
  use = {
    arguments = { 'auto', 'dashscope', 'openai', 'local' },
    run = function(provider, model)
      execute('qwen.use', { provider or vim.NIL, model or vim.NIL }, say_text)
    end,
  },
  clear = {
    run = function()
      execute('qwen.clearCache', {}, say_text)
    end,
  },
  fetch = {
    arguments = { '1.5b', '0.5b' },
    run = function(model)
      execute('qwen.fetchModel', { model }, say_text)
    end,
  },
  log = {
    run = function()
      local own = require('qwen').config.settings.logFile or vim.env.QWEN_LSP_LOG_FILE
      local path = own or vim.lsp.log.get_filename()
      vim.cmd.tabnew({ args = { path }, magic = { file = false } })
      vim.bo.readonly = true
      vim.cmd.normal({ args = { 'G' }, bang = true })
    end,
  },
  stats = {
    run = function()
      execute('qwen.statistics', {}, say_text)
    end,
  },
}

local names = vim.fn.sort(vim.tbl_keys(subcommands))

---@param arguments string[]
function M.run(arguments)
  local subcommand = subcommands[arguments[1] or 'status']
  if subcommand then
    subcommand.run(arguments[2], arguments[3])
  else
    complain('`:Qwen` takes ' .. table.concat(names, ', '))
  end
end

---@param line string The command line up to the cursor.
---@return string[]
function M.complete(line)
  local before, beginning = line:match('Qwen%s+(.-)(%S*)$')
  local subcommand = subcommands[vim.trim(before or '')]
  local all = before == '' and names or subcommand and subcommand.arguments or {}
  return vim.tbl_filter(function(name)
    return vim.startswith(name, beginning or '')
  end, all)
end

return M

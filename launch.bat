@echo off
rem Starts LoRA Loom: finds a Python 3.10 or newer and hands every argument to launch.py, where the work is done.
setlocal DisableDelayedExpansion
set "FOUND="
for %%P in ("py -3" "python3" "python") do call :consider %%P
if not defined FOUND goto none
%FOUND% "%~dp0launch.py" %*
set "CODE=%ERRORLEVEL%"
goto end
:none
echo LoRA Loom needs Python 3.10 or newer and found none: get it from https://www.python.org/downloads/, then start again. 1>&2
set "CODE=1"
:end
rem After a double click the command line of the window ends with this file's name: keep it open, so that the error can be read.
set "OPENED_BY=%cmdcmdline:"=%"
if not "%CODE%"=="0" if /i "%OPENED_BY:~-11%"=="launch.bat " pause
exit /b %CODE%

:consider
if defined FOUND exit /b
%~1 -c "import sys; sys.exit(sys.version_info < (3, 10))" >nul 2>nul
if "%ERRORLEVEL%"=="0" set "FOUND=%~1"
exit /b
